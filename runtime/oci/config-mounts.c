/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "config.h"
#include "runtime/base/json.h"

static int parse_idmap(const json_t *o, const char *path, ConfigMount *m, Error *e)
{
    int r;

    if ((r = config_id_map(o, path, "uidMappings", &m->uid_map, &m->n_uid_map, e)) < 0 ||
        (r = config_id_map(o, path, "gidMappings", &m->gid_map, &m->n_gid_map, e)) < 0)
        return r;
    if ((m->n_uid_map > 0) != (m->n_gid_map > 0))
        return error_setf(e, -EINVAL, CONFIG_FILE ": %s: uidMappings and gidMappings: one without the other", path);
    if (m->n_uid_map > 0)
        m->options.idmap = true;
    return 0;
}

static int parse_mount(const json_t *o, size_t i, ConfigMount *m, Error *e)
{
    _cleanup_free_ const char **options = NULL;
    char path[32];
    JsonAt at = {CONFIG_FILE, path};
    int r;

    snprintf(path, sizeof(path), "mounts[%zu]", i);
    if ((r = json_need_string(o, at, "destination", &m->destination, e)) < 0 ||
        (r = json_want_string(o, at, "source", &m->source, e)) < 0 ||
        (r = json_want_string(o, at, "type", &m->type, e)) < 0 ||
        (r = json_want_strings(o, at, "options", &options, e)) < 0)
        return r;
    r = mount_options_parse(options, &m->options);
    if (r < 0)
        return r;
    if ((!m->type && !m->options.remount) || streq_ptr(m->type, "bind"))
        m->options.bind = true;
    if (streq_ptr(m->type, "rbind"))
        m->options.bind = m->options.recursive = true;
    if (m->options.bind && !m->options.remount && !m->source)
        return error_setf(e, -EINVAL, CONFIG_FILE ": %s.source: is missing, a bind mount needs one", path);
    return parse_idmap(o, path, m, e);
}

int config_mounts(const json_t *doc, Config *c, Error *e)
{
    json_t *array = NULL, *item;
    size_t i;
    int r = json_want(doc, (JsonAt){CONFIG_FILE, ""}, "mounts", JSON_ARRAY, &array, e);

    if (r < 0 || !array)
        return r;
    if (json_array_size(array) > CONFIG_LIST_MAX)
        return error_setf(e, -E2BIG, CONFIG_FILE ": mounts: more than %d", CONFIG_LIST_MAX);
    c->mounts = calloc(json_array_size(array) + 1, sizeof(*c->mounts));
    if (!c->mounts)
        return -ENOMEM;
    json_array_foreach (array, i, item) {
        c->n_mounts = i + 1;
        r = parse_mount(item, i, &c->mounts[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* "idmap" without maps of its own means those of the container's user namespace. */
static int inherit_idmap(const Config *c, size_t i, Error *e)
{
    ConfigMount *m = &c->mounts[i];

    if (!c->namespaces[NS_USER].wanted)
        return error_setf(e, -EINVAL,
                          CONFIG_FILE
                          ": mounts[%zu]: option \"%s\" needs uidMappings and gidMappings, as the container "
                          "has no user namespace",
                          i, m->options.idmap_recursive ? "ridmap" : "idmap");
    if (c->namespaces[NS_USER].path)
        return 0; /* that of the namespace itself */
    m->uid_map = calloc(c->n_uid_map + 1, sizeof(*m->uid_map));
    m->gid_map = calloc(c->n_gid_map + 1, sizeof(*m->gid_map));
    if (!m->uid_map || !m->gid_map)
        return -ENOMEM;
    memcpy(m->uid_map, c->uid_map, c->n_uid_map * sizeof(*m->uid_map));
    memcpy(m->gid_map, c->gid_map, c->n_gid_map * sizeof(*m->gid_map));
    m->n_uid_map = c->n_uid_map;
    m->n_gid_map = c->n_gid_map;
    return 0;
}

int config_mounts_check(const Config *c, Error *e)
{
    for (size_t i = 0; i < c->n_mounts; i++) {
        int r = c->mounts[i].options.idmap && c->mounts[i].n_uid_map == 0 ? inherit_idmap(c, i, e) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}

void config_mounts_done(Config *c)
{
    for (size_t i = 0; i < c->n_mounts; i++) {
        mount_options_done(&c->mounts[i].options);
        free(c->mounts[i].uid_map);
        free(c->mounts[i].gid_map);
    }
    free(c->mounts);
}
