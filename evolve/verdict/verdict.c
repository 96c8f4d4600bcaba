/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* What the outcomes say about one task. */
typedef struct Standing {
    size_t incumbent_valid, incumbent_passed;
    size_t candidate_passed;
    double incumbent_score, candidate_score; /* means */
    bool reproduced;                         /* the incumbent failed it at least once */
    bool voided;                             /* no trial of the incumbent says anything */
    bool perfect;                            /* tried, and passed in every repeat, by the candidate */
    bool regressed;
} Standing;

/* What all of them say together. */
typedef struct Tally {
    unsigned visible_reproduced;
    unsigned blemished; /* visible and sealed tasks in which the candidate failed */
    unsigned unfixed;   /* reproduced ones that the candidate does not pass in every repeat */
    unsigned unstable;  /* of these: decided by chance, with either code */
    unsigned untried;   /* reproduced tasks and sound guards without an outcome of the candidate */
    unsigned pairs_min; /* of the tasks that count */
    const char *first_regressed, *first_unfixed;
} Tally;

double verdict_e_value(unsigned wins, unsigned losses)
{
    /* With whole numbers the integral is a sum: E = Σ from i = 0 to w of w! l! / (i! (n+1-i)!), n = w + l. In logarithms, as n! overflows at 170 pairs;
     * bounded, as JSON has no infinity. */
    double n = (double) wins + losses, top = lgamma(wins + 1.0) + lgamma(losses + 1.0), e = 0;

    for (unsigned i = 0; i <= wins; i++)
        e += exp(top - lgamma(i + 1.0) - lgamma(n + 2.0 - i));
    return MIN(e, 1e300);
}

static double e_needed(unsigned iteration)
{
    double k = MAX(iteration, 1U);

    return k * (k + 1) / VERDICT_ERROR_BUDGET;
}

static bool valid(const Outcome *o)
{
    return o->end != TRIAL_BAD_TRANSCRIPT;
}

/* A pass is one only of a trial that went to its end. */
static bool passed(const Outcome *o)
{
    return o->passed && o->end == TRIAL_DONE;
}

static Standing standing_of(const VerdictTask *t)
{
    Standing s = {};

    for (size_t i = 0; i < t->n_incumbent; i++) {
        if (!valid(&t->incumbent[i]))
            continue;
        s.incumbent_valid++;
        s.incumbent_passed += passed(&t->incumbent[i]);
        s.incumbent_score += t->incumbent[i].score;
    }
    for (size_t i = 0; i < t->n_candidate; i++) {
        s.candidate_passed += passed(&t->candidate[i]);
        s.candidate_score += valid(&t->candidate[i]) ? t->candidate[i].score : 0;
    }
    if (s.incumbent_valid > 0)
        s.incumbent_score /= (double) s.incumbent_valid;
    if (t->n_candidate > 0)
        s.candidate_score /= (double) t->n_candidate;
    s.voided = s.incumbent_valid == 0;
    s.reproduced = s.incumbent_passed < s.incumbent_valid;
    s.perfect = t->n_candidate > 0 && s.candidate_passed == t->n_candidate;
    /* Worse: passes a smaller share of its repeats, or as many with a lower score. Cross-multiplied, so that no rounding decides. */
    if (t->n_candidate > 0 && !s.voided) {
        size_t before = s.incumbent_passed * t->n_candidate, after = s.candidate_passed * s.incumbent_valid;

        s.regressed = after < before || (after == before && s.candidate_score < s.incumbent_score - 1e-9);
    }
    return s;
}

static void count_pairs(const VerdictTask *t, Verdict *v)
{
    for (size_t i = 0; i < MIN(t->n_incumbent, t->n_candidate); i++) {
        bool before = passed(&t->incumbent[i]), after = passed(&t->candidate[i]);

        if (!valid(&t->incumbent[i]))
            continue;
        v->wins += !before && after;
        v->losses += before && !after;
        v->ties += before == after;
    }
}

/* Chance decides a task when one and the same code passes and fails it in trials that all went to their end. */
static bool unstable(const VerdictTask *t, const Standing *s)
{
    for (size_t i = 0; i < t->n_candidate; i++)
        if (t->candidate[i].end != TRIAL_DONE)
            return false;
    for (size_t i = 0; i < t->n_incumbent; i++)
        if (t->incumbent[i].end != TRIAL_DONE)
            return false;
    return s->incumbent_passed > 0 && s->candidate_passed > 0 && s->candidate_passed < t->n_candidate;
}

static void take(const VerdictTask *t, Tally *tally, Verdict *v)
{
    Standing s = standing_of(t);
    bool evidence = t->kind != TASK_GUARD;

    count_pairs(t, v);
    v->voided += s.voided;
    if (s.regressed) {
        v->regressed++;
        tally->first_regressed = tally->first_regressed ? tally->first_regressed : t->id;
    }
    if (evidence && t->n_candidate > 0 && !s.perfect)
        tally->blemished++;
    if (t->n_candidate == 0)
        tally->untried += evidence ? s.reproduced : !s.voided && !s.reproduced;
    else
        tally->pairs_min = MIN(tally->pairs_min, (unsigned) MIN(t->n_incumbent, t->n_candidate));
    if (!evidence || s.voided)
        return;
    if (!s.reproduced) {
        v->not_reproduced++;
        return;
    }
    v->reproduced++;
    tally->visible_reproduced += t->kind == TASK_VISIBLE;
    if (s.perfect) {
        v->fixed++;
        return;
    }
    tally->unfixed++;
    tally->unstable += unstable(t, &s);
    if (t->kind == TASK_VISIBLE && !tally->first_unfixed)
        tally->first_unfixed = t->id;
}

/* ---- words ---- */

static void _printf_(2, 3) say(Verdict *v, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    json_array_append_new(v->reasons, json_string_nocheck(text));
}

static void say_coder(Verdict *v, CoderEnd end)
{
    static const char *const words[] = {
        [CODER_DELIVERED] = NULL,
        [CODER_FAILED] = "the coding agent brought no change that could be tried",
        [CODER_EXHAUSTED] = "the coding agent has nothing more to propose",
        [CODER_PLAN_REJECTED] = "no plan was approved",
        [CODER_ARCHITECTURE_REJECTED] = "every plan was rejected because the architecture does not allow it",
        [CODER_CODE_REJECTED] = "no change passed code review",
    };

    if (words[end])
        say(v, "%s", words[end]);
}

static void say_counts(Verdict *v, const Tally *t)
{
    if (v->reproduced > 0)
        say(v, "%u of %u reproduced tasks are fixed", v->fixed, v->reproduced);
    if (t->first_unfixed)
        say(v, "%s still fails", t->first_unfixed);
    if (v->regressed > 0)
        say(v, "%u %s worse than before, first %s", v->regressed, v->regressed == 1 ? "task is" : "tasks are",
            t->first_regressed);
    if (v->not_reproduced > 0)
        say(v, "%u %s not reproduced: the present version passes when replayed; counted out", v->not_reproduced,
            v->not_reproduced == 1 ? "task was" : "tasks were");
    if (v->voided > 0)
        say(v, "%u %s no trial that says anything: the replay itself failed", v->voided,
            v->voided == 1 ? "task has" : "tasks have");
}

/* ---- the decision ---- */

/* Pairs a task that make E large enough if every reproduced task goes on to win each of them. */
static unsigned pairs_wanted(const Verdict *v)
{
    unsigned wins = v->wins, pairs = 0;

    while (verdict_e_value(wins, v->losses) < v->e_needed && pairs < 1000) {
        wins += v->reproduced;
        pairs++;
    }
    return pairs;
}

static void decide_good(const Tally *t, const VerdictPosition *p, Verdict *v)
{
    if (v->e_value >= v->e_needed) {
        v->kind = VERDICT_CONVERGED;
        say(v, "every task passes in every repeat; %u wins, %u losses: e = %.1f, needed %.0f", v->wins, v->losses,
            v->e_value, v->e_needed);
        return;
    }
    v->kind = VERDICT_INCONCLUSIVE;
    if (t->pairs_min < p->max_repeats) {
        v->more_repeats = true;
        v->repeats_wanted = MIN(pairs_wanted(v), p->max_repeats - t->pairs_min);
        say(v, "every task passes, but e = %.1f of %.0f needed: %u more pairs a task", v->e_value, v->e_needed,
            v->repeats_wanted);
        return;
    }
    say(v, "every task passes, but after %u pairs a task e = %.1f of %.0f needed: the difference may be chance",
        t->pairs_min, v->e_value, v->e_needed);
}

/* No way on: what stands in it? Only what can be told from outcomes; the rest is inconclusive. */
static void decide_end(const Tally *t, const VerdictPosition *p, Verdict *v)
{
    if (p->coder == CODER_ARCHITECTURE_REJECTED) {
        v->kind = VERDICT_FUNDAMENTAL_LIMIT_ARCHITECTURE;
        say(v, "what the tasks ask for does not fit the agent's architecture");
    } else if (v->fixed > 0 && v->regressed > 0) {
        v->kind = VERDICT_FUNDAMENTAL_LIMIT_ARCHITECTURE;
        say(v, "what mends %u of the tasks breaks %u others", v->fixed, v->regressed);
    } else if (t->unfixed > 0 && t->unstable == t->unfixed) {
        v->kind = VERDICT_FUNDAMENTAL_LIMIT_MODEL;
        say(v, "the tasks that still fail pass and fail with one and the same code: the model's answers vary");
    } else {
        v->kind = VERDICT_INCONCLUSIVE;
        say(v, "the tasks still fail, and the outcomes do not tell why");
    }
}

static void decide_bad(const Tally *t, const VerdictPosition *p, Verdict *v)
{
    bool last = p->iteration >= p->max_iterations;
    bool plateau = p->max_plateau > 0 && p->plateau >= p->max_plateau;
    bool exhausted = p->coder == CODER_EXHAUSTED;

    if (!last && !plateau && !exhausted) {
        v->kind = VERDICT_NEED_MORE_WORK;
        say(v, "iteration %u of %u", p->iteration, p->max_iterations);
    } else {
        decide_end(t, p, v);
        if (plateau)
            say(v, "%u iterations in a row improved nothing", p->plateau);
        else if (last)
            say(v, "that was the last of %u iterations", p->max_iterations);
    }
    say_coder(v, p->coder);
}

int verdict_compute(const VerdictTask *tasks, size_t n, const VerdictPosition *position, Verdict *ret)
{
    Tally tally = {.pairs_min = UINT32_MAX};
    Verdict v = {.reasons = json_array()};

    if (!v.reasons)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        take(&tasks[i], &tally, &v);
    v.e_value = verdict_e_value(v.wins, v.losses);
    v.e_needed = e_needed(position->iteration);
    if (tally.visible_reproduced == 0) {
        v.kind = VERDICT_INCONCLUSIVE;
        say(&v, "no visible task fails when it is replayed with the present version: there is nothing to mend here");
    } else if (tally.unfixed == 0 && tally.blemished == 0 && tally.untried == 0 && v.regressed == 0) {
        decide_good(&tally, position, &v);
    } else {
        decide_bad(&tally, position, &v);
    }
    say_counts(&v, &tally);
    *ret = v;
    return 0;
}

void verdict_done(Verdict *v)
{
    json_decref(v->reasons);
    *v = (Verdict){};
}

const char *verdict_name(VerdictKind kind)
{
    static const char *const names[] = {
        [VERDICT_CONVERGED] = "CONVERGED",
        [VERDICT_NEED_MORE_WORK] = "NEED_MORE_WORK",
        [VERDICT_INCONCLUSIVE] = "INCONCLUSIVE",
        [VERDICT_FUNDAMENTAL_LIMIT_MODEL] = "FUNDAMENTAL_LIMIT_MODEL",
        [VERDICT_FUNDAMENTAL_LIMIT_ARCHITECTURE] = "FUNDAMENTAL_LIMIT_ARCHITECTURE",
    };

    return names[kind];
}

json_t *verdict_json(const Verdict *v)
{
    return json_pack("{ss sb sI sf sf sI sI sI sI sI sI sI sI sO}", "verdict", verdict_name(v->kind), "more_repeats",
                     v->more_repeats, "repeats_wanted", (json_int_t) v->repeats_wanted, "e_value", v->e_value,
                     "e_needed", v->e_needed, "wins", (json_int_t) v->wins, "losses", (json_int_t) v->losses, "ties",
                     (json_int_t) v->ties, "reproduced", (json_int_t) v->reproduced, "not_reproduced",
                     (json_int_t) v->not_reproduced, "voided", (json_int_t) v->voided, "fixed", (json_int_t) v->fixed,
                     "regressed", (json_int_t) v->regressed, "reasons", v->reasons);
}
