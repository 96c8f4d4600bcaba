/* SPDX-License-Identifier: Apache-2.0 */

/* A program that does nothing until it is killed. */

#include <unistd.h>

int main(void)
{
    for (;;)
        pause();
}
