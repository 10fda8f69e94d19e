//! The table of commands. The dispatcher, `command -v` and the book read it, and there is no other list.

use super::{
    super::{
        flags::Flags::{self, Any, Known, Leading, Own},
        state::{
            Builtin, Plain,
            Reads::{self, All, Files, Itself, Nothing},
            Run,
        },
    },
    accounts, calls, cloud_init, files, own, scp, search, sshd, streams, system, tar, test, text,
};

/// One that works on the disk alone.
const fn plain(names: &'static str, known: &'static str, imitates: &'static str, run: Plain) -> Builtin {
    reader(names, known, Nothing, imitates, run)
}

/// One that reads standard input, too.
const fn reader(names: &'static str, known: &'static str, reads: Reads, imitates: &'static str, run: Plain) -> Builtin {
    Builtin { names, flags: Known(known), reads, imitates, run: Run::Plain(run) }
}

/// One with other flags.
const fn other(names: &'static str, flags: Flags, imitates: &'static str, run: Plain) -> Builtin {
    Builtin { names, flags, reads: Nothing, imitates, run: Run::Plain(run) }
}

/// One that acts on the shell.
macro_rules! shell {
    ($names:literal, $flags:expr, $reads:expr, $imitates:literal, $function:path) => {
        Builtin {
            names: $names,
            flags: $flags,
            reads: $reads,
            imitates: $imitates,
            run: Run::Own(|shell, call| Box::pin($function(shell, call))),
        }
    };
}

/// What is said of commands that do nothing.
const NOTED: &str = "nothing: it succeeds, and is noted in `/var/log/simulated-commands.log`";

pub(crate) static COMMANDS: &[Builtin] = &[
    // The shell's own.
    other(": true", Flags::None, "success", |_, _| {}),
    other("false", Flags::None, "failure", |work, _| work.status = 1),
    other("trap umask", Flags::None, "nothing: it succeeds", |_, _| {}),
    shell!("exit return break continue", Known(""), Nothing, "the shell's", own::leave),
    shell!("shift", Known(""), Nothing, "the shell's", own::shift),
    shell!("cd", Known("-L -P"), Nothing, "the shell's", own::cd),
    shell!(
        "set",
        Own("-e -u -x -E -h -o, and `+` for `-`; -o takes errexit, nounset, xtrace, and of `bash` pipefail"),
        Nothing,
        "the shell's",
        own::set
    ),
    shell!("export readonly local", Known(""), Nothing, "the shell's; all variables are global", own::export),
    shell!("unset", Known("-v -f"), Nothing, "the shell's", own::unset),
    shell!("wait", Known(""), Nothing, "the shell's, for its own children", own::wait),
    shell!("kill", Own("-SIGNAL"), Nothing, "of `$$` and of its own children; no other process is there", own::kill),
    shell!("eval", Flags::None, Nothing, "the shell's", calls::eval),
    shell!("exec", Flags::None, Nothing, "the shell's", calls::exec),
    shell!(". source", Flags::None, Nothing, "the shell's; `source` is bash's", calls::dot),
    shell!(
        "sh bash dash",
        Own("-c -s -l -e -u -x -E -h -o"),
        Itself,
        "a new shell; of bash's own, `pipefail`",
        calls::sh
    ),
    shell!("env", Leading("-i|--ignore-environment -u|--unset= -S|--split-string="), Nothing, "all", calls::env),
    shell!("sudo", Leading("-E -H -n -S --user|-u= --login|-i"), Nothing, "running a command, as root", calls::env),
    shell!("nohup", Leading(""), Nothing, "running a command", calls::rest),
    shell!("setsid", Leading("-w|--wait -f|--fork"), Nothing, "running a command", calls::rest),
    shell!(
        "timeout",
        Leading("-k|--kill-after= -s|--signal= --foreground"),
        Nothing,
        "all; no signal is sent",
        calls::timeout
    ),
    shell!("xargs", Leading("-0|--null -r|--no-run-if-empty"), Itself, "one call with all words", calls::xargs),
    shell!("command", Leading("-v|-V -p"), Nothing, "the shell's", calls::command),
    shell!("type which", Known(""), Nothing, "the path of a command", calls::command),
    shell!("sleep", Known(""), Nothing, "all", calls::sleep),
    shell!("test [", Flags::None, Nothing, "all but comparing files", test::test),
    shell!("echo", Flags::None, Nothing, "dash's (`-n`) and bash's (`-n`, `-e`)", streams::echo),
    shell!("printf", Flags::None, Nothing, "`%s %d %i %u %b %x %o %c %%` with widths", streams::printf),
    shell!("read", Known("-r"), Itself, "one line, split into words", streams::read),
    shell!("cat", Known("-u"), Itself, "all", streams::cat),
    // Files.
    plain("mkdir", "-p|--parents -m|--mode= -v|--verbose", "all", files::mkdir),
    plain("rm unlink shred", "-r|-R|--recursive -f|--force -u|--remove -d|--dir -v|--verbose", "all", files::rm),
    plain("rmdir", "", "all", files::rmdir),
    plain(
        "cp",
        "-r|-R|--recursive -a|--archive -p -f|--force -t|--target-directory= -v|--verbose",
        "all, with mode, owner and time",
        files::copy,
    ),
    plain("mv", "-f|--force -t|--target-directory= -v|--verbose", "all", files::copy),
    plain(
        "ln",
        "-s|--symbolic -f|--force -n|--no-dereference -T|--no-target-directory -v|--verbose",
        "hard links are copies",
        files::link,
    ),
    plain("touch", "", "a file, or its time: now", files::touch),
    other("chmod", Own("-R --recursive -f -v"), "octal and `[ugoa][+-=][rwxX]`", files::chmod),
    plain("chown chgrp", "-R|--recursive -f -v|--verbose", "all; links are followed", files::chown),
    plain(
        "install",
        "-d|--directory -D -m|--mode= -o|--owner= -g|--group= -t|--target-directory= -c -v|--verbose",
        "all",
        files::install,
    ),
    plain("truncate", "-s|--size=", "sizes in bytes, K, M and G", files::truncate),
    plain("mktemp", "-d|--directory -p= -q|--quiet", "all", files::mktemp),
    plain(
        "readlink realpath",
        "-f|--canonicalize -e|--canonicalize-existing -m|--canonicalize-missing",
        "all",
        files::readlink,
    ),
    plain("stat", "-c|--format= -L|--dereference", "`%n %s %a %U %G %u %g %Y %F`", files::stat),
    plain("ls", "-l -a|--all -A|--almost-all -d|--directory -1", "one name a line", search::ls),
    other(
        "find",
        Own(
            "-name -path -type -maxdepth -mindepth -empty -size +0 -not ! -o -a -print -print0 -delete -xdev -mount -depth, and \
             -exec of rm and truncate",
        ),
        "these",
        search::find,
    ),
    shell!("scp", Known("-t -f -r -p -d -v -q"), Itself, "the machine's side of a copy", scp::scp),
    shell!("tar", Own("-xzpmf - -C FOLDER"), Itself, "unpacking what Remint sends", tar::tar),
    // Text.
    reader("head tail", "-n|--lines= -c|--bytes= -q|--quiet|--silent -NUMBER", Files(0), "all", text::ends),
    reader("wc", "-l|--lines -w|--words -c|--bytes", Files(0), "all", text::wc),
    reader("sort", "-n|--numeric-sort -r|--reverse -u|--unique", Files(0), "whole lines", text::sort),
    reader("uniq", "-c|--count", Files(0), "all", text::uniq),
    reader("tee", "-a|--append", All, "all", text::tee),
    reader(
        "tr",
        "-c|-C|--complement -d|--delete -s|--squeeze-repeats",
        All,
        "ranges, escapes, the common classes",
        text::tr,
    ),
    reader(
        "cut",
        "-d|--delimiter= -f|--fields= -c|--characters= -b|--bytes=",
        Files(0),
        "all; bytes are characters",
        text::cut,
    ),
    reader("sha256sum", "-c|--check", Files(0), "all", text::sha256sum),
    reader("base64", "-d|--decode -w|--wrap=", Files(0), "all; its lines are not wrapped", text::base64),
    plain("basename", "", "all", text::basename),
    plain("dirname", "", "all", text::dirname),
    other("seq", Own(""), "whole numbers, a million at most", text::seq),
    reader(
        "grep egrep fgrep",
        "-e|--regexp= -f|--file= -q|--quiet|--silent -v|--invert-match -i|--ignore-case -c|--count -l|--files-with-matches \
             -n|--line-number -o|--only-matching -r|-R|--recursive -E|--extended-regexp -F|--fixed-strings -w|--word-regexp \
             -x|--line-regexp -h|--no-filename -H|--with-filename -s|--no-messages -a|--text",
        Files(1),
        "no back references",
        search::grep,
    ),
    reader(
        "sed",
        "-n|--quiet|--silent -i|--in-place -E|-r|--regexp-extended -e|--expression=",
        Files(1),
        "`s///` with g and i, `/…/d`, `/…/p`",
        search::sed,
    ),
    // Users and groups.
    plain("id", "-u|--user -g|--group -G|--groups -n|--name", "one group a user", accounts::id),
    plain(
        "useradd adduser",
        "-g|--gid|--ingroup= -r|--system -d|--home-dir|--home= -s|--shell= -u|--uid= -m|--create-home \
             -M|--no-create-home -c|--comment|--gecos= -p|--password= -G|--groups= -U|--user-group --group --quiet \
             --disabled-password --disabled-login",
        "a line of `/etc/passwd`; no password, and no further groups",
        accounts::useradd,
    ),
    plain("groupadd addgroup", "-g|--gid= -r|--system -f|--force --quiet", "a line of its file", accounts::groupadd),
    plain(
        "userdel deluser",
        "-r|--remove|--remove-home -f|--force --quiet --system",
        "all but the home",
        accounts::remove,
    ),
    plain("groupdel delgroup", "-f|--force --quiet --system", "all", accounts::remove),
    plain("getent", "", "passwd, group, hosts", accounts::getent),
    // The system.
    other("sshd", Own("-T -t -C -f"), "what the configuration says", sshd::sshd),
    shell!(
        "cloud-init",
        Known("-w|--wait -l|--logs|--long --format= -r|--reboot --machine-id -s|--seed --version|-v"),
        Nothing,
        "status, clean",
        cloud_init::cloud_init
    ),
    plain(
        "systemctl",
        "--now -q|--quiet -f|--force -t|--type= -p|--property= -l|--full -a|--all --value --state= --failed --plain \
             --no-block --no-legend --no-pager --no-reload --no-ask-password",
        "units that are enabled and active, and have no processes; no list has an entry",
        system::systemctl,
    ),
    plain(
        "reboot shutdown poweroff halt",
        "-r|--reboot -h -P|-p|--poweroff -H|--halt -f|--force --no-wall",
        "at once",
        system::power,
    ),
    plain("hostname", "-f|--fqdn|--long -s|--short", "`/etc/hostname`", system::hostname),
    plain("uname", "-a|--all -s -n -r -m", "all", system::uname),
    plain("date", "-u|--utc|--universal", "now, in a format", system::date),
    plain("whoami logname", "", "`root`", |work, _| work.line("root")),
    plain("pwd", "-L -P", "all", |work, _| work.line(work.cwd)),
    plain("nproc", "--all", "one", |work, _| work.line("1")),
    other("curl wget", Any, "a machine without a network: it fails", |work, _| {
        work.fail("this simulated machine has no network")
    }),
    Builtin { reads: All, ..other("chpasswd", Any, NOTED, |work, _| work.note()) },
    other(
        "apt apt-get clear dbus-uuidgen debconf-set-selections dpkg fstrim hash history hostnamectl journalctl \
         killall ldconfig logger modprobe mount passwd pkill setcap ssh-keygen stty swapoff sync sysctl \
         systemd-tmpfiles timedatectl ufw umount update-ca-certificates update-rc.d usermod",
        Any,
        NOTED,
        |work, _| work.note(),
    ),
];
