#!/usr/bin/env bats
# A sample of the kill matrix, the same every time; `make check-full` walks all of it. See the head of tests/fault/kill-matrix.

setup() {
    [ "$(id -u)" = 0 ] || skip 'needs root'
    [ "$(uname -m)" = x86_64 ] || skip 'tests/helpers/inject.c knows x86-64 only'
    matrix=$BATS_TEST_DIRNAME/kill-matrix
}

walk() {
    run "$matrix" "$@"
    echo "$output"
    [ "$status" = 0 ]
    echo "# ${lines[-1]}" >&3
}

@test "whatever dies or fails in a swap that is committed, one generation serves one whole state" {
    walk commit rehearsed --sample 10
}

@test "whatever dies or fails in a swap that is rolled back, one generation serves one whole state" {
    walk gate bake refused --sample 7
}

@test "a recovery that dies or fails is recovered from" {
    walk recover-DRAINING recover-TRYING recover-SERVING recover-ROLLING_BACK --sample 6
}
