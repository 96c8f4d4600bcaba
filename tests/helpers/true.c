/* SPDX-License-Identifier: Apache-2.0 */

/* The smallest program there is to run: what it costs is what starting and ending costs. */

int main(void)
{
    return 0;
}
