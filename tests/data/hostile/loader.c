/* A dynamic loader of a hostile image (tests/e2e/test_hostile_containers.py): the program that it
 * is called for, "#!/proc/self/exe", is whatever was executing before.  It keeps hold of that file
 * as descriptor 9 and lets /attack, a script of the image, see what can be done with it.
 *
 * gcc -Os -ffreestanding -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables
 *     -nostdlib -static -no-pie -s -Wl,-n,-z,noseparate-code,--build-id=none -Wl,-Ttext-segment=0x7000000
 *     -o loader-x86_64 loader.c
 */
static long call(long number, const void *a, long b, const void *c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

void _start(void)
{
    char *argv[] = {"/bin/sh", "/attack", 0}, *env[] = {"PATH=/bin", 0};
    long fd = call(2, "/proc/self/exe", 010000000, 0); /* open, O_PATH */
    call(33, (void *)fd, 9, 0);                        /* dup2 */
    call(59, argv[0], (long)argv, env);                /* execve */
    call(60, (void *)99, 0, 0);                        /* exit */
}
