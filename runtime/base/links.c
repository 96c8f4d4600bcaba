/* SPDX-License-Identifier: Apache-2.0 */
#include "links.h"

struct Link {
    dev_t dev;
    ino_t ino;
    char *path; /* NULL: the slot is free */
};

static Link *find_slot(const Links *links, dev_t dev, ino_t ino)
{
    size_t i = ((size_t) ino * 0x9e3779b97f4a7c15ULL ^ (size_t) dev) & (links->size - 1);

    while (links->slots[i].path && (links->slots[i].dev != dev || links->slots[i].ino != ino))
        i = (i + 1) & (links->size - 1);
    return &links->slots[i];
}

static int grow(Links *links)
{
    Links larger = {.n = links->n, .size = links->size ? links->size * 2 : 64};

    larger.slots = calloc(larger.size, sizeof(*larger.slots));
    if (!larger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < links->size; i++)
        if (links->slots[i].path)
            *find_slot(&larger, links->slots[i].dev, links->slots[i].ino) = links->slots[i];
    free(links->slots);
    *links = larger;
    return 0;
}

int links_meet(Links *links, const struct stat *st, const char *path, const char **ret_first)
{
    Link *slot;

    if (links->n * 4 >= links->size * 3) {
        int r = grow(links);

        if (r < 0)
            return r;
    }
    slot = find_slot(links, st->st_dev, st->st_ino);
    if (slot->path) {
        *ret_first = slot->path;
        return 1;
    }
    slot->path = strdup(path);
    if (!slot->path)
        return -ENOMEM;
    slot->dev = st->st_dev;
    slot->ino = st->st_ino;
    links->n++;
    *ret_first = slot->path;
    return 0;
}

void links_done(Links *links)
{
    for (size_t i = 0; i < links->size; i++)
        free(links->slots[i].path);
    free(links->slots);
    *links = (Links){};
}
