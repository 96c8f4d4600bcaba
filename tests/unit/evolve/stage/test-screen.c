/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/stage/screen.h"

#include "runtime/base/json.h"
#include "tests/unit/test.h"

/* id, cluster, milliseconds of its replay, passed */
typedef struct Given {
    const char *id, *cluster;
    unsigned msec;
    bool passed;
    TaskKind kind;
} Given;

static void plan_of(const Given *given, size_t n, unsigned turn, ScreenPlan *plan, EngineTask *tasks)
{
    Agent agent = {.replay_timeout_seconds = 10};
    Engine g = {.agent = &agent, .tasks = tasks, .n_tasks = n, .p.plateau = turn};

    for (size_t i = 0; i < n; i++)
        tasks[i] = (EngineTask){.task = json_pack("{s:s, s:s}", "id", given[i].id, "cluster", given[i].cluster),
                                .kind = given[i].kind,
                                .wall_usec = given[i].msec * 1000ULL,
                                .passed = given[i].passed,
                                .score = given[i].passed ? 1 : 0};
    *plan = (ScreenPlan){};
    screen_plan_tasks(&g, plan);
}

static void forget(EngineTask *tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_decref(tasks[i].task);
}

static const char *id_of(const ScreenTask *t)
{
    return json_string_value(json_object_get(t->task->task, "id"));
}

TEST(the_probe_is_the_fastest_failing_task_of_the_largest_cluster)
{
    static const Given given[] = {
        {"slow", "big", 300, false, TASK_VISIBLE},  {"fast", "big", 100, false, TASK_VISIBLE},
        {"third", "big", 200, false, TASK_VISIBLE}, {"tiny", "small", 10, false, TASK_VISIBLE},
        {"hidden", "big", 1, false, TASK_SEALED},   {"guard", "", 1, true, TASK_GUARD},
    };
    EngineTask tasks[ARRAY_SIZE(given)];
    ScreenPlan plan;

    plan_of(given, ARRAY_SIZE(given), 0, &plan, tasks);
    assert_int_equal(plan.n_visible, 4); /* what is sealed has no part in the choice of candidates */
    assert_int_equal(plan.n_guards, 1);
    assert_string_equal(id_of(&plan.visible[0]), "fast");
    assert_string_equal(id_of(&plan.visible[1]), "tiny");
    forget(tasks, ARRAY_SIZE(given));
}

TEST(iterations_without_improvement_go_round_the_clusters)
{
    static const Given given[] = {
        {"a", "1", 10, false, TASK_VISIBLE}, {"b", "2", 20, false, TASK_VISIBLE},  {"b2", "2", 25, false, TASK_VISIBLE},
        {"c", "3", 30, false, TASK_VISIBLE}, {"done", "6", 1, true, TASK_VISIBLE},
    };
    static const char *const expected[] = {"b", "a", "c", "b", "a"};

    for (unsigned turn = 0; turn < ARRAY_SIZE(expected); turn++) {
        EngineTask tasks[ARRAY_SIZE(given)];
        ScreenPlan plan;

        plan_of(given, ARRAY_SIZE(given), turn, &plan, tasks);
        assert_string_equal(id_of(&plan.visible[0]), expected[turn]);
        assert_string_equal(id_of(&plan.visible[plan.n_visible - 1]), "done"); /* what passes already comes last */
        forget(tasks, ARRAY_SIZE(given));
    }
}

TEST(time_limits_come_from_the_baseline_and_never_exceed_the_agents)
{
    static const Given given[] = {{"a", "1", 100, false, TASK_VISIBLE}, {"b", "1", 60000, false, TASK_VISIBLE}};
    EngineTask tasks[ARRAY_SIZE(given)];
    ScreenPlan plan;

    plan_of(given, ARRAY_SIZE(given), 0, &plan, tasks);
    assert_int_equal(plan.visible[0].timeout_usec, 800000);
    assert_int_equal(plan.visible[1].timeout_usec, 10000000);
    forget(tasks, ARRAY_SIZE(given));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_probe_is_the_fastest_failing_task_of_the_largest_cluster),
        UNIT(iterations_without_improvement_go_round_the_clusters),
        UNIT(time_limits_come_from_the_baseline_and_never_exceed_the_agents),
    };

    return RUN_TESTS(tests);
}
