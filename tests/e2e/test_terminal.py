"""`-it`: a terminal with resize, job control, Ctrl-C, and detaching."""

import os

from support.program import Rl, program
from support.traces import wait_until


def in_foreground(rl: Rl, name: str, line: str) -> bool:
    """Whether a child of the shell with this command line has the terminal: proc_pid_stat(5)."""
    shell = rl.inspect(name)["State"]["Pid"]
    with open(f"/proc/{shell}/task/{shell}/children") as file:
        children = file.read().split()
    for pid in children:
        with open(f"/proc/{pid}/cmdline") as file, open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
            if file.read().replace("\0", " ").strip() == line:
                return fields[2] == fields[5]  # its group, and the terminal's
    return False


def test_shell_on_a_terminal(rl: Rl, no_leftovers: None) -> None:
    terminal = rl.pty("run", "--rm", "-it", "busybox", "sh")
    terminal.expect(r"[#$] ")
    terminal.send("tty; exit 7\n")
    terminal.expect("/dev/(pts/0|console)")
    assert terminal.wait() == 7
    terminal.close()


def test_window_size_and_resize(rl: Rl) -> None:
    terminal = rl.pty("run", "--rm", "-it", "busybox", "sh", rows=31, columns=101)
    terminal.expect(r"[#$] ")
    terminal.send("stty size\n")
    terminal.expect("31 101")
    terminal.send("trap 'stty size' WINCH\n")
    terminal.expect(r"[#$] ")
    terminal.resize(20, 60)
    terminal.send("\nstty size\n")
    terminal.expect("20 60")
    terminal.send("exit\n")
    terminal.wait()
    terminal.close()


def test_ctrl_c_interrupts_the_program_and_not_the_container(rl: Rl) -> None:
    name = rl.name()
    terminal = rl.pty("run", "--rm", "-it", "--name", name, "busybox", "sh")
    terminal.expect(r"[#$] ")
    terminal.send("echo up; sleep 100\n")
    terminal.expect("up\r\n")
    wait_until(lambda: in_foreground(rl, name, "sleep 100"))  # before that, it is typing ahead
    terminal.send("\x03")
    terminal.expect(r"[#$] ")
    terminal.send("echo status $?; exit 4\n")
    terminal.expect("status 130")
    assert terminal.wait() == 4
    terminal.close()


def test_job_control(rl: Rl) -> None:
    name = rl.name()
    terminal = rl.pty("run", "--rm", "-it", "--name", name, "busybox", "sh")
    terminal.expect(r"[#$] ")
    terminal.send("echo up; sleep 100\n")
    terminal.expect("up\r\n")
    wait_until(lambda: in_foreground(rl, name, "sleep 100"))
    terminal.send("\x1a")
    terminal.expect("Stopped")
    terminal.expect(r"[#$] ")
    terminal.send("fg\n")
    terminal.expect("fg\r\nsleep 100")
    terminal.send("\x03")
    terminal.expect(r"[#$] ")
    terminal.send("echo status $?\n")
    terminal.expect("status 130")
    # Its exit is not waited for: busybox's shell may still take the job for a stopped one.
    terminal.close()


def test_terminal_is_restored(rl: Rl) -> None:
    terminal = rl.pty("run", "--rm", "-it", "busybox", "true")
    terminal.wait()
    assert terminal.settings() == terminal.initial
    terminal.close()


def test_ctrl_p_ctrl_q_detaches(rl: Rl) -> None:
    name = rl.name()
    terminal = rl.pty("run", "-it", "--name", name, "busybox", "sh")
    terminal.expect(r"[#$] ")
    terminal.send("\x10\x11")
    terminal.wait()
    terminal.close()
    assert rl.running(name)


def test_detach_keys_can_be_chosen(rl: Rl) -> None:
    name = rl.name()
    terminal = rl.pty("run", "-it", "--name", name, "--detach-keys", "ctrl-a,d", "busybox", "sh")
    terminal.expect(r"[#$] ")
    terminal.send("\x01d")
    terminal.wait()
    terminal.close()
    assert rl.running(name)


def test_detached_terminal_can_be_logged(rl: Rl) -> None:
    name = rl.name()
    rl.run("run", "-dt", "--name", name, "busybox", "sh", "-c", "tty; sleep 100")
    assert "/dev/" in rl.wait_log(name, "/dev/")


def test_terminal_without_a_terminal_is_an_error(rl: Rl, no_leftovers: None) -> None:
    rl.fails("run", "--rm", "-it", "busybox", "true", input="")


def test_output_is_not_lost_at_the_end(rl: Rl) -> None:
    terminal = rl.pty("run", "--rm", "-it", "busybox", "sh", "-c", "seq 1 5000; echo LAST")
    terminal.expect("LAST", 20)
    assert terminal.wait() == 0
    terminal.close()


def test_terminal_that_hangs_up_leaves_the_container_running(rl: Rl) -> None:
    name = rl.name()
    process, master = os.forkpty()
    if process == 0:
        words = [program(), "run", "-it", "--name", name, "--network", "none", "busybox", "sh"]
        os.execve(words[0], words, rl.environment())
    seen = b""
    while b"# " not in seen:
        seen += os.read(master, 4096)
    os.close(master)
    os.waitpid(process, 0)
    assert rl.running(name)
