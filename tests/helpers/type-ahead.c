/* SPDX-License-Identifier: Apache-2.0 */
/* type-ahead: tries to type into the terminal at its standard input, as if a user had (CVE-2017-5226); prints "typed" or "refused". */
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
    puts(isatty(STDIN_FILENO) && ioctl(STDIN_FILENO, TIOCSTI, "!") == 0 ? "typed" : "refused");
    return 0;
}
