#!/usr/bin/env bats
# SIGKILL at random moments of an evolution: started again it resumes, repeats no finished stage, leaves nothing behind and ends with the verdict of one that
# nobody disturbed. KILLS is how many (15; 50 with MOSS_FULL=1), KILL_SEED where the moments come from: printed, so that a failure can be had again.

bats_require_minimum_version 1.5.0

setup_file() {
    export MOSS_BUILD world
    world=$BATS_FILE_TMPDIR/world
    # shellcheck source=../lib/clerk.bash
    . "$BATS_TEST_DIRNAME/../lib/clerk.bash"
    clerk_evidence forget-unsaved --sessions 84 --rate 0 --scenarios memory_kept,memory_many
}

setup() {
    # shellcheck source=../lib/clerk.bash
    . "$BATS_TEST_DIRNAME/../lib/clerk.bash"
    agent=$MOSS_STORE/agents/clerk
}

steps() { git --git-dir="$agent/ledger.git" log --reverse --format=%s "refs/evolutions/$1"; }
position() { git --git-dir="$agent/ledger.git" show "refs/evolutions/$1:position.json" | jq -r "$2"; }

# What is finished is finished: each stage of an iteration (and round) stands once in the ledger.
no_stage_twice() {
    [ -z "$(git --git-dir="$agent/ledger.git" show "refs/evolutions/$1:timeline.jsonl" | jq -c '[.stage, .iteration, .round]' | sort | uniq -d)" ]
}

@test "an evolution that is killed again and again resumes each time and ends with the same verdict" {
    kills=${KILLS:-15}
    [ -z "${MOSS_FULL:-}" ] || kills=${KILLS:-50}
    RANDOM=${KILL_SEED:=$$}
    echo "KILL_SEED=$KILL_SEED"

    moss evo start b-0001 --depth shallow 3>&- &
    walk=$!
    until [ -n "$(clerk_cgroup)" ]; do kill -0 $walk; sleep 0.01; done # else the name is not what is looked for below
    wait $walk
    undisturbed=$(position e-0001 .end)
    stages=$(steps e-0001 | grep -c iteration)
    [ "$undisturbed" = CONVERGED ]

    done=0
    number=1
    while [ $done -lt "$kills" ]; do
        number=$((number + 1))
        evolution=$(printf 'e-%04d' $number)
        # Five kills an evolution, then it may end.
        for _ in 1 2 3 4 5; do
            moss evo start b-0001 --depth shallow >"$BATS_TEST_TMPDIR/walk.log" 2>&1 3>&- &
            walk=$!
            sleep "$((RANDOM % 3)).$((RANDOM % 10))$((RANDOM % 10))"
            if ! kill -KILL $walk 2>/dev/null; then
                # It was faster than the kill: that one does not count.
                wait $walk
                break
            fi
            wait $walk || true
            done=$((done + 1))
        done
        if [ "$(position "$evolution" .stage 2>/dev/null)" != end ]; then
            run moss evo start b-0001 --depth shallow
            echo "$output"
            [ "$status" -eq 0 ]
        fi
        echo "$evolution after $done kills: $(position "$evolution" .end)"
        [ "$(position "$evolution" .end)" = "$undisturbed" ]
        no_stage_twice "$evolution"
        [ "$(steps "$evolution" | grep -c iteration)" -ge "$stages" ]
        [ ! -e "$agent/worktrees" ]
        [ -z "$(ls "$MOSS_STORE/tmp")" ]
        run ! grep "$world" /proc/self/mountinfo
        [ -z "$(clerk_cgroup)" ]
        [ -z "$(git -C "$world/source" status --porcelain)" ]
    done
    echo "$done kills" >&3
}
