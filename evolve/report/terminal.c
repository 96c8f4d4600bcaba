/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/base/clock.h"

#define REDRAW_USEC (100 * USEC_PER_MSEC)

Terminal terminal_open(FILE *stream)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool live = isatty(fileno(stream)) && term && !streq(term, "dumb");

    return (Terminal){.stream = stream, .live = live, .colour = live && !(no_color && *no_color)};
}

static size_t columns(FILE *stream)
{
    struct winsize w;

    return ioctl(fileno(stream), TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

void terminal_status_line(const EvolutionProgress *p, size_t width, char ret[static 256])
{
    char line[256], best[32] = "", work[64] = "";

    if (p->best_score >= 0)
        snprintf(best, sizeof(best), " · best %.2f", p->best_score);
    if (p->candidates_all > 0)
        snprintf(work, sizeof(work), " · candidate %u/%u", p->candidates, p->candidates_all);
    else if (p->tasks_all > 0)
        snprintf(work, sizeof(work), " · trial %u/%u", p->tasks_done, p->tasks_all);
    snprintf(line, sizeof(line), "%s %s · iteration %u/%u%s · %llu trials%s · %llu s", p->evolution ? p->evolution : "",
             p->stage, p->iteration, p->max_iterations, work, (unsigned long long) p->trials, best,
             (unsigned long long) (p->elapsed_usec / USEC_PER_SEC));
    /* A middle dot is two bytes and one column: cut by columns, never inside a character. */
    size_t used = 0, i = 0;
    while (line[i] && used < width) {
        i++;
        while ((line[i] & 0xc0) == 0x80)
            i++;
        used++;
    }
    memcpy(ret, line, i);
    ret[i] = '\0';
}

static void erase(Terminal *t)
{
    if (t->drawn)
        fputs("\r\x1b[K", t->stream);
    t->drawn = false;
}

static void draw(Terminal *t, const EvolutionProgress *p)
{
    char line[256];

    terminal_status_line(p, columns(t->stream) - 1, line);
    fprintf(t->stream, t->colour ? "\r\x1b[K\x1b[2m%s\x1b[0m" : "\r\x1b[K%s", line);
    t->drawn = true;
    t->drawn_at = clock_now();
}

static void say(Terminal *t, const EvolutionProgress *p)
{
    erase(t);
    fprintf(t->stream, t->colour ? "\x1b[1m%-13s\x1b[0m %s" : "%-13s %s", p->stage, p->text);
    if (p->iteration > 1 || p->round > 1)
        fprintf(t->stream, " (iteration %u, round %u)", p->iteration, p->round);
    fputc('\n', t->stream);
}

void terminal_progress(const EvolutionProgress *p, void *terminal)
{
    Terminal *t = terminal;

    if (p->text)
        say(t, p);
    if (t->live && (p->text || clock_now() - t->drawn_at >= REDRAW_USEC))
        draw(t, p);
    fflush(t->stream);
}

void terminal_close(Terminal *t)
{
    erase(t);
    fflush(t->stream);
}
