/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/scope.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/base/json.h"
#include "tests/unit/test.h"

TEST(a_cgroups_path_becomes_the_names_of_a_unit_and_its_slice)
{
    static const struct {
        const char *path;
        bool system;
        const char *unit, *slice;
    } table[] = {
        {NULL, true, "moss-c1.scope", "system.slice"},
        {"", false, "moss-c1.scope", "user.slice"},
        {"machine.slice:libpod:abc", true, "libpod-abc.scope", "machine.slice"},
        {":libpod:abc", true, "libpod-abc.scope", "system.slice"},
        {"a-b.slice::abc", false, "abc.scope", "a-b.slice"},
        {"::", false, "c1.scope", "user.slice"},
        {"a.slice:p:x.scope", true, "p-x.scope", "a.slice"},
        {"a.slice:p:x+y/z", true, "p-x\\x2by\\x2fz.scope", "a.slice"},
    };
    static const char *const bad[] = {"/a/b",          "a",         "a.slice:b", "a.slice:b:c:d", "a:b:c",
                                      "a/b.slice:c:d", ".slice:a:b"};
    char *unit, *slice;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        assert_int_equal(scope_names(table[i].path, "c1", table[i].system, &unit, &slice, NULL), 0);
        assert_string_equal(unit, table[i].unit);
        assert_string_equal(slice, table[i].slice);
        free(unit);
        free(slice);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        Error e = {};

        assert_int_equal(scope_names(bad[i], "c1", true, &unit, &slice, &e), -EINVAL);
        assert_non_null(strstr(e.text, bad[i]));
    }
}

/* The properties as text: "Name=signature:value;" with numbers in hexadecimal digits as they lie there. */
static char *as_text(const StrBuf *b)
{
    _cleanup_(strbuf_done) StrBuf out = {};

    for (size_t at = 0; at < b->len;) {
        const char *name, *signature;
        BusMessage m = {.body = b->data, .body_len = b->len, .at = (at + 7) & ~(size_t) 7};
        size_t end;

        assert_int_equal(bus_get_string(&m, &name), 0);
        signature = b->data + m.at + 1;
        m.at += strlen(signature) + 2;
        (void) strbuf_addf(&out, "%s=%s:", name, signature);
        if (streq(signature, "s")) {
            const char *s;

            assert_int_equal(bus_get_string(&m, &s), 0);
            (void) strbuf_adds(&out, s);
        } else if (streq(signature, "as")) {
            uint32_t n;

            assert_int_equal(bus_get_u32(&m, &n), 0);
            for (end = m.at + n; m.at < end;) {
                const char *s;

                assert_int_equal(bus_get_string(&m, &s), 0);
                (void) strbuf_addf(&out, "%s,", s);
            }
        } else if (streq(signature, "ay")) {
            uint32_t n;

            assert_int_equal(bus_get_u32(&m, &n), 0);
            for (end = m.at + n; m.at < end; m.at++)
                (void) strbuf_addf(&out, "%02x", (unsigned char) b->data[m.at]);
        } else {
            size_t size = strchr("ut", signature[0]) ? signature[0] == 't' ? 8 : 4 : strchr("xd", signature[0]) ? 8 : 4;
            uint64_t v = 0;

            size = signature[0] == 'y' ? 1 : signature[0] == 'n' || signature[0] == 'q' ? 2 : size;
            m.at = (m.at + size - 1) & ~(size - 1);
            memcpy(&v, b->data + m.at, size);
            m.at += size;
            (void) strbuf_addf(&out, "%llu", (unsigned long long) v);
        }
        (void) strbuf_adds(&out, ";");
        at = m.at;
    }
    return strbuf_take(&out);
}

TEST(limits_become_properties)
{
    static const struct {
        const char *resources, *want;
    } table[] = {
        {"{}", ""},
        {"{'memory':{'limit':1000,'swap':3000,'reservation':500}}",
         "MemoryMax=t:1000;MemoryLow=t:500;MemorySwapMax=t:2000;"},
        {"{'memory':{'limit':-1,'swap':-1}}", "MemoryMax=t:18446744073709551615;MemorySwapMax=t:18446744073709551615;"},
        {"{'memory':{'limit':1000,'swap':1000}}", "MemoryMax=t:1000;MemorySwapMax=t:0;"},
        {"{'cpu':{'quota':12345,'period':100000}}", "CPUQuotaPeriodUSec=t:100000;CPUQuotaPerSecUSec=t:130000;"},
        {"{'cpu':{'quota':50000}}", "CPUQuotaPerSecUSec=t:500000;"},
        {"{'cpu':{'quota':-1}}", "CPUQuotaPerSecUSec=t:18446744073709551615;"},
        {"{'cpu':{'cpus':'0-2,9','mems':'0'}}", "AllowedCPUs=ay:0702;AllowedMemoryNodes=ay:01;"},
        {"{'cpu':{'cpus':'2-0'}}", ""},
        {"{'cpu':{'cpus':'0-99999999999'}}", ""},
        {"{'pids':{'limit':77},'blockIO':{'weight':1000}}", "TasksMax=t:77;IOWeight=t:10000;"},
        {"{'unified':{'memory.high':'5','pids.max':'max','memory.min':'x','io.weight':'default 7','cpuset.cpus':'1'}}",
         "MemoryHigh=t:5;TasksMax=t:18446744073709551615;AllowedCPUs=ay:02;"},
        {"{'memory':'x','cpu':{'shares':'y','cpus':3},'unified':[]}", ""}, /* refused by others */
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        _cleanup_(strbuf_done) StrBuf b = {}, json = {};
        _cleanup_json_ json_t *o = NULL;
        _cleanup_free_ char *text = NULL;

        for (const char *p = table[i].resources; *p; p++)
            (void) strbuf_add(&json, *p == '\'' ? "\"" : p, 1);
        assert_int_equal(json_parse(json.data, json.len, "table", &o, NULL), 0);
        scope_put_limits(&b, o);
        text = as_text(&b);
        assert_string_equal(text, table[i].want);
    }
}

TEST(annotations_become_properties)
{
    static const struct {
        const char *name, *value, *want;
    } table[] = {
        {"KillSignal", "15", "KillSignal=i:15;"},
        {"TimeoutStopUSec", "uint64 5000000", "TimeoutStopUSec=t:5000000;"},
        {"TimeoutStopSec", "2.5", "TimeoutStopUSec=t:2500000;"},
        {"TimeoutStopSec", "uint64 3", "TimeoutStopUSec=t:3000000;"},
        {"CollectMode", "'inactive-or-failed'", "CollectMode=s:inactive-or-failed;"},
        {"CollectMode", " \"a\\\"b\" ", "CollectMode=s:a\"b;"},
        {"SendSIGHUP", "true", "SendSIGHUP=b:1;"},
        {"SendSIGHUP", "false", "SendSIGHUP=b:0;"},
        {"After", "['a.service', 'b.service']", "After=as:a.service,b.service,;"},
        {"After", "@as []", "After=as:;"},
        {"X", "byte 0xff", "X=y:255;"},
        {"X", "@q 65535", "X=q:65535;"},
        {"X", "@ay [1, 2]", "X=ay:0102;"},
        {"X", "int64 0", "X=x:0;"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        _cleanup_json_ json_t *o = json_object();
        _cleanup_(strbuf_done) StrBuf b = {};
        _cleanup_free_ char *key = xasprintf("org.systemd.property.%s", table[i].name), *text = NULL;

        json_object_set_new(o, "another.annotation", json_string("["));
        json_object_set_new(o, key, json_string(table[i].value));
        assert_int_equal(scope_put_annotations(&b, o, NULL), 0);
        text = as_text(&b);
        assert_string_equal(text, table[i].want);
    }
}

TEST(annotations_that_are_no_values_are_refused)
{
    static const char *const bad[][2] = {
        {"X", ""},
        {"X", "abc"},
        {"X", "'a"},
        {"X", "'a' b"},
        {"X", "[]"},
        {"X", "['a'"},
        {"X", "['a' 'b']"},
        {"X", "[1, 'b']"},
        {"X", "['a', 1]"},
        {"X", "byte 256"},
        {"X", "@"},
        {"X", "@a"},
        {"X", "@z 1"},
        {"X", "@as 'x'"},
        {"X", "@s ['x']"},
        {"X", "uint32 -1"},
        {"X", "1x"},
        {"X", "2147483648"},
        {"X", "'a\\"},
        {"X", "uint64"},
        {"X", "double nan"},
        {"TimeoutStopSec", "'1'"},
        {"TimeoutStopSec", "-1"},
        {"TimeoutStopSec", "1e300"},
        {"x", "1"},
        {"", "1"},
        {"A.B", "1"},
        {"X", "99999999999999999999"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_json_ json_t *o = json_object();
        _cleanup_(strbuf_done) StrBuf b = {};
        _cleanup_free_ char *key = xasprintf("org.systemd.property.%s", bad[i][0]);
        Error e = {};

        json_object_set_new(o, key, json_string(bad[i][1]));
        assert_int_equal(scope_put_annotations(&b, o, &e), -EINVAL);
        assert_non_null(strstr(e.text, key));
    }
}

/* ---- a manager of the test's own ---- */

typedef struct Answer {
    const char *member; /* the call that must come */
    const char *error;  /* that it is answered with; NULL: a job, which… */
    const char *result; /* …ends so; NULL: the call is one without */
    bool processes;     /* GetUnitProcesses: there is one */
} Answer;

static void send_job_removed(Bus *bus, const char *job, const char *result)
{
    _cleanup_(strbuf_done) StrBuf body = {};
    BusMessage m = {.type = BUS_SIGNAL,
                    .path = "/org/freedesktop/systemd1",
                    .interface = "org.freedesktop.systemd1.Manager",
                    .member = "JobRemoved",
                    .signature = "uoss"};

    bus_put_u32(&body, 1);
    bus_put_string(&body, job);
    bus_put_string(&body, "x.scope");
    bus_put_string(&body, result);
    m.body = body.data;
    m.body_len = body.len;
    if (bus_send(bus, &m, NULL) < 0)
        _exit(3);
}

static void put_processes(StrBuf *b, bool any)
{
    size_t array = bus_open_array(b, 8);

    if (any) {
        bus_put_align(b, 8);
        bus_put_string(b, "/x.scope");
        bus_put_u32(b, 7);
        bus_put_string(b, "sleep");
    }
    bus_close_array(b, array, 8);
}

static _Noreturn void manage(int fd, const Answer *answers)
{
    Bus bus = {.fd = fd, .direct = true, .deadline = clock_now() + 10 * USEC_PER_SEC};

    for (; answers->member; answers++) {
        _cleanup_(bus_message_done) BusMessage call = {};
        _cleanup_(strbuf_done) StrBuf body = {};
        BusMessage m = {.type = answers->error ? BUS_ERROR : BUS_RETURN, .error = answers->error};

        if (bus_receive(&bus, &call, NULL) < 0 || !streq(call.member, answers->member))
            _exit(1);
        m.reply_serial = call.serial;
        if (!answers->error && (answers->result || streq(call.member, "GetUnitProcesses"))) {
            if (answers->result)
                bus_put_string(&body, "/job/1");
            else
                put_processes(&body, answers->processes);
            m.signature = answers->result ? "o" : "a(sus)";
            m.body = body.data;
            m.body_len = body.len;
        }
        if (bus_send(&bus, &m, NULL) < 0)
            _exit(2);
        if (!answers->result || answers->error)
            continue;
        send_job_removed(&bus, "/job/11", "failed"); /* somebody else's */
        send_job_removed(&bus, "/job/1", answers->result);
    }
    _exit(0);
}

static int with_manager(const Answer *answers, int (*call)(Bus *, Error *), Error *e)
{
    Bus bus = {.direct = true, .deadline = clock_now() + 10 * USEC_PER_SEC};
    int pair[2], r, status;
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid = fork();
    if (pid == 0)
        manage(pair[1], answers);
    close(pair[1]);
    bus.fd = pair[0];
    r = call(&bus, e);
    bus_done(&bus);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return r;
}

static int start(Bus *bus, Error *e)
{
    _cleanup_(strbuf_done) StrBuf properties = {};

    scope_put_bool(&properties, "Delegate", true);
    return scope_start_unit(bus, "x.scope", &properties, e);
}

static int stop(Bus *bus, Error *e)
{
    return scope_stop_unit(bus, "x.scope", e);
}

static int stop_empty(Bus *bus, Error *e)
{
    return scope_stop_empty_unit(bus, "x.scope", e);
}

#define ERROR_NAME "org.freedesktop.systemd1."

TEST(a_scope_is_there_when_its_job_is_done)
{
    static const Answer good[] = {{"StartTransientUnit", NULL, "done"}, {}};
    static const Answer bad[] = {{"StartTransientUnit", NULL, "timeout"}, {}};
    static const Answer refused[] = {{"StartTransientUnit", "org.x.No", NULL}, {}};
    Error e = {};

    assert_int_equal(with_manager(good, start, &e), 0);
    assert_int_equal(with_manager(bad, start, &e), -ECANCELED);
    assert_string_equal(e.text, "systemd: unit x.scope: the job ended with \"timeout\"");
    assert_int_equal(with_manager(refused, start, &e), -EREMOTEIO);
    assert_string_equal(e.text, "systemd: unit x.scope: StartTransientUnit: refused (org.x.No)");
}

TEST(a_failed_unit_of_the_same_name_makes_room)
{
    static const Answer once[] = {{"StartTransientUnit", ERROR_NAME "UnitExists", NULL},
                                  {"ResetFailedUnit", NULL, NULL},
                                  {"StartTransientUnit", NULL, "done"},
                                  {}};
    static const Answer twice[] = {{"StartTransientUnit", ERROR_NAME "UnitExists", NULL},
                                   {"ResetFailedUnit", NULL, NULL},
                                   {"StartTransientUnit", ERROR_NAME "UnitExists", NULL},
                                   {}};
    Error e = {};

    assert_int_equal(with_manager(once, start, &e), 0);
    assert_string_equal(e.text, "");
    assert_int_equal(with_manager(twice, start, &e), -EREMOTEIO);
}

TEST(stopping_what_is_gone_is_success)
{
    static const Answer gone[] = {{"StopUnit", ERROR_NAME "NoSuchUnit", NULL}, {}};
    static const Answer there[] = {{"StopUnit", NULL, "done"}, {"ResetFailedUnit", ERROR_NAME "NoSuchUnit", NULL}, {}};
    static const Answer silent[] = {{}};
    Error e = {};

    assert_int_equal(with_manager(gone, stop, &e), 0);
    assert_int_equal(with_manager(there, stop, &e), 0);
    assert_string_equal(e.text, "");
    assert_true(with_manager(silent, stop, &e) < 0);
}

TEST(a_unit_is_stopped_when_nothing_lives_in_it)
{
    static const Answer empty[] = {{.member = "GetUnitProcesses"},
                                   {"StopUnit", .result = "done"},
                                   {"ResetFailedUnit", .error = ERROR_NAME "NoSuchUnit"},
                                   {}};
    static const Answer ending[] = {{.member = "GetUnitProcesses", .processes = true},
                                    {.member = "GetUnitProcesses"},
                                    {"StopUnit", .result = "done"},
                                    {.member = "ResetFailedUnit"},
                                    {}};
    static const Answer gone[] = {{"GetUnitProcesses", .error = ERROR_NAME "NoSuchUnit"}, {}};
    static const Answer refused[] = {{"GetUnitProcesses", .error = "org.x.No"}, {}};
    Error e = {};

    assert_int_equal(with_manager(empty, stop_empty, &e), 0);
    assert_int_equal(with_manager(ending, stop_empty, &e), 0);
    assert_int_equal(with_manager(gone, stop_empty, NULL), 0);
    assert_string_equal(e.text, "");
    assert_int_equal(with_manager(refused, stop_empty, &e), -EREMOTEIO);
    assert_string_equal(e.text, "systemd: unit x.scope: GetUnitProcesses: refused (org.x.No)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_cgroups_path_becomes_the_names_of_a_unit_and_its_slice),
        UNIT(limits_become_properties),
        UNIT(annotations_become_properties),
        UNIT(annotations_that_are_no_values_are_refused),
        UNIT(a_scope_is_there_when_its_job_is_done),
        UNIT(a_failed_unit_of_the_same_name_makes_room),
        UNIT(stopping_what_is_gone_is_success),
        UNIT(a_unit_is_stopped_when_nothing_lives_in_it),
    };

    return RUN_TESTS(tests);
}
