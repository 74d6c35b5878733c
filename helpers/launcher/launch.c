/* The last step into a container where the host's Python is a file of the user's own.
 *
 * Between execve(2) and the program's first instruction the container can reach the file that was
 * executing before, as /proc/self/exe: by "#!/proc/self/exe" and a dynamic loader of its own.  If
 * that were the user's Python, the container's root could change its mode, or write it when nobody
 * runs it.  So this program stands between them; it is a sealed memfd, and nobody's file.
 *
 * Called with: argv[0] the program's path, argv[1] the same as JSON, then the program's argv.
 * Descriptor 3 is the stage's channel (rootless/linux/channel.py).  It closes with the second
 * execve, or takes the message "error", [errno, path].
 *
 * No libc.  Made by helpers/launcher/make, which says how.
 */
typedef unsigned long word;

#if defined(__x86_64__)
enum { FCNTL = 72, WRITEV = 20, EXECVE = 59, EXIT_GROUP = 231 };
static long call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call launch\n");
#elif defined(__aarch64__)
enum { FCNTL = 25, WRITEV = 66, EXECVE = 221, EXIT_GROUP = 94 };
static long call(long number, long a, long b, long c)
{
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
__asm__(".globl _start\n_start: mov x0, sp\n bl launch\n");
#endif

enum { CHANNEL = 3, F_SETFD = 2, FD_CLOEXEC = 1, CANNOT_EXECUTE = 126 };

struct piece {
    const char *start;
    word length;
};

__attribute__((used)) void launch(word *stack)
{
    char **argv = (char **)(stack + 1), **env = argv + stack[0] + 1;
    char digits[8], *digit = digits + sizeof digits;
    struct piece message[] = {{"error\0[", 7}, {0, 0}, {",", 1}, {argv[1], 0}, {"]", 1}};

    call(FCNTL, CHANNEL, F_SETFD, FD_CLOEXEC);
    long number = -call(EXECVE, (long)argv[0], (long)(argv + 2), (long)env);
    do
        *--digit = '0' + number % 10;
    while (number /= 10);
    message[1].start = digit;
    message[1].length = digits + sizeof digits - digit;
    while (argv[1][message[3].length])
        message[3].length++;
    call(WRITEV, CHANNEL, (long)message, sizeof message / sizeof *message);
    call(EXIT_GROUP, CANNOT_EXECUTE, 0, 0);
    for (;;)
        ;
}
