"""Plans for some of the tasks."""

import honest


def plan(asked):
    answer = honest.answer(asked)
    answer["tasks"].popitem()
    return answer


honest.main(plan=plan)
