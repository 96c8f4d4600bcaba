/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mount.h>
#include <sys/syscall.h>

#include "mounts.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"

#define MOUNTINFO_MAX ((size_t) 64 << 20)

int mounts_enter_root(Mounts *m, Error *e)
{
    if (fchdir(m->root) < 0)
        return error_errnof(e, -errno, "root file system");
    /* The old root ends up on top of the new one, from where it is taken away. */
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return error_errnof(e, -errno, "root file system: pivot_root%s",
                            errno == EINVAL ? " (on an initramfs, see --no-pivot)" : "");
    if (umount2(".", MNT_DETACH) < 0)
        return error_errnof(e, -errno, "root file system: cannot let go of the host's");
    return chdir("/") < 0 ? error_errnof(e, -errno, "root file system") : 0;
}

/* Undoes the octal escapes of mountinfo (space, tab, newline, backslash) in place. */
static void unescape(char *s)
{
    char *out = s;

    while (*s) {
        bool octal = s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3];

        *out++ = octal ? (char) ((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0')) : *s;
        s += octal ? 4 : 1;
    }
    *out = '\0';
}

/* Unmounts what `mountinfo` names, by the paths from the old root, which is the working directory. What is not there any more has gone with what it lay on; in a user
 * namespace nothing of the host's can be unmounted, nor reached. */
static void take_off(char *mountinfo)
{
    char *save = NULL, *field_save;

    for (char *line = strtok_r(mountinfo, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *field = strtok_r(line, " ", &field_save);

        for (unsigned i = 0; field && i < 4; i++) /* the mount point: proc_pid_mountinfo(5) */
            field = strtok_r(NULL, " ", &field_save);
        if (!field || field[0] != '/' || !field[1])
            continue;
        unescape(field);
        (void) umount2(field + 1, MNT_DETACH | UMOUNT_NOFOLLOW);
    }
}

int mounts_cover_root(Mounts *m, Error *e)
{
    _cleanup_close_ int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
                        info = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    int r;

    if (old < 0)
        return error_errnof(e, -errno, "/");
    r = info < 0 ? -errno : file_read_fd(info, MOUNTINFO_MAX, &text, NULL);
    if (r < 0)
        return error_errnof(e, r, "--no-pivot: /proc/self/mountinfo");
    if (move_mount(m->root, "", old, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 || fchdir(old) < 0)
        return error_errnof(e, -errno, "--no-pivot: the root file system cannot be moved");
    take_off(text);
    if (fchdir(m->root) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return error_errnof(e, -errno, "--no-pivot: root file system");
    return 0;
}
