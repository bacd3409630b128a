/*
 * Happy path: the folder is opened (keeper/private_folder.h), a socket is bound under a name of
 * this process, made 0600, listened on, and only then renamed to "control": whoever finds it can
 * connect, and a dead one is replaced without a moment in which there is none.
 *
 * Failures:
 *  - ERR_DENIED  the folder is a link, not ours, or open to others; the text has the remedy
 *  - ERR_BUSY    somebody answers on the socket
 *  - ERR_EXISTS  something else has that name
 */
#include "keeper/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/private_folder.h"

#define BACKLOG 64

void control_socket_address(int folder, const char *name, struct sockaddr_un *address_out)
{
    *address_out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int size = snprintf(address_out->sun_path, sizeof(address_out->sun_path), "/proc/self/fd/%d/%s",
                        folder, name);
    ENSURE(size > 0 && (size_t)size < sizeof(address_out->sun_path));
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Also true when its backlog is full (EAGAIN): somebody holds it. */
static bool is_answered(int folder)
{
    struct sockaddr_un address;
    control_socket_address(folder, CONTROL_SOCKET_NAME, &address);
    int descriptor = new_socket();
    if (descriptor < 0)
        return false;
    bool answered =
        connect(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN;
    close(descriptor);
    return answered;
}

static int check_place(int folder, const char *path, struct err *err)
{
    struct stat about;
    if (fstatat(folder, CONTROL_SOCKET_NAME, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_set_errno(err, "%s/" CONTROL_SOCKET_NAME, path);
    if (!S_ISSOCK(about.st_mode))
        return err_set(err, ERR_EXISTS, "%s/" CONTROL_SOCKET_NAME " is no socket; remove it", path);
    if (is_answered(folder))
        return err_set(err, ERR_BUSY,
                       "%s/" CONTROL_SOCKET_NAME " is answered by another ecluse; stop that one",
                       path);
    return 0;
}

/* Everything up to the rename; `name` is gone again when it fails. */
static int listen_as(const struct control_socket *socket, const char *name, ino_t *inode_out)
{
    struct sockaddr_un address;
    struct stat about;
    control_socket_address(socket->folder, name, &address);
    if (unlinkat(socket->folder, name, 0) != 0 && errno != ENOENT)
        return ERR_SYSTEM;
    if (bind(socket->descriptor, (struct sockaddr *)&address, sizeof(address)) != 0)
        return ERR_SYSTEM;
    if (fchmodat(socket->folder, name, S_IRUSR | S_IWUSR, 0) == 0 &&
        listen(socket->descriptor, BACKLOG) == 0 &&
        fstatat(socket->folder, name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
        renameat(socket->folder, name, socket->folder, CONTROL_SOCKET_NAME) == 0) {
        *inode_out = about.st_ino;
        return 0;
    }
    int number = errno;
    unlinkat(socket->folder, name, 0);
    errno = number;
    return ERR_SYSTEM;
}

int control_socket_open(const char *runtime_dir, struct control_socket *socket_out, struct err *err)
{
    struct control_socket socket = {-1, -1, 0};
    char *path = NULL;
    int status = private_folder_open("runtime_dir", runtime_dir, &socket.folder, &path, err);
    if (status != 0)
        return status;
    char name[64];
    snprintf(name, sizeof(name), CONTROL_SOCKET_NAME ".%ld", (long)getpid());
    status = check_place(socket.folder, path, err);
    if (status == 0) {
        socket.descriptor = new_socket();
        if (socket.descriptor < 0 || listen_as(&socket, name, &socket.inode) != 0)
            status = err_set_errno(err, "%s/" CONTROL_SOCKET_NAME, path);
    }
    mem_free(path);
    if (status == 0) {
        *socket_out = socket;
        return 0;
    }
    if (socket.descriptor >= 0)
        close(socket.descriptor);
    close(socket.folder);
    return status;
}

void control_socket_close(struct control_socket *socket)
{
    struct stat about;
    if (fstatat(socket->folder, CONTROL_SOCKET_NAME, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
        about.st_ino == socket->inode)
        unlinkat(socket->folder, CONTROL_SOCKET_NAME, 0);
    close(socket->descriptor);
    close(socket->folder);
}
