//! The table of commands. The dispatcher, `command -v` and the book read it, and there is no other list.

use super::{
    super::state::{
        Builtin,
        Reads::{self, All, Itself, Nothing, WithoutFiles},
        Run,
    },
    accounts, calls, cloud_init, files, own, scp, search, sshd, streams, system, tar, test, text,
};
use crate::simulated::shell::flags::Flags::{self, Any, Known, Leading, Own};

type Names = &'static [&'static str];

const fn row(names: Names, flags: Flags, reads: Reads, imitates: &'static str, run: Run) -> Builtin {
    Builtin { names, flags, reads, imitates, run }
}

/// One that acts on the shell.
macro_rules! on_shell {
    ($function:path) => {
        Run::Own(|shell, call| Box::pin($function(shell, call)))
    };
}

use Run::Plain;

/// What is said of commands that do nothing.
const NOTED: &str = "nothing: it succeeds, and is noted in `/var/log/simulated-commands.log`";

pub(crate) static COMMANDS: &[Builtin] = &[
    // The shell's own.
    row(&[":", "true"], Flags::None, Nothing, "success", Plain(|_| 0)),
    row(&["false"], Flags::None, Nothing, "failure", Plain(|_| 1)),
    row(&["trap", "umask"], Flags::None, Nothing, "nothing: it succeeds", Plain(|_| 0)),
    row(&["exit"], Known(""), Nothing, "the shell's", on_shell!(own::exit)),
    row(&["return"], Known(""), Nothing, "the shell's", on_shell!(own::return_)),
    row(&["break", "continue"], Known(""), Nothing, "the shell's", on_shell!(own::break_)),
    row(&["shift"], Known(""), Nothing, "the shell's", on_shell!(own::shift)),
    row(&["cd"], Known("-L -P"), Nothing, "the shell's", on_shell!(own::cd)),
    row(
        &["set"],
        Own("-e -u -x -E -h -o, and `+` for `-`; -o takes errexit, nounset, xtrace, and of `bash` pipefail"),
        Nothing,
        "the shell's",
        on_shell!(own::set),
    ),
    row(
        &["export", "readonly", "local"],
        Known(""),
        Nothing,
        "the shell's; all variables are global",
        on_shell!(own::export),
    ),
    row(&["unset"], Known("-v -f"), Nothing, "the shell's", on_shell!(own::unset)),
    row(&["wait"], Known(""), Nothing, "the shell's, for its own children", on_shell!(own::wait)),
    row(
        &["kill"],
        Own("-SIGNAL"),
        Nothing,
        "of the shell itself (`$$`) and of what it has in the background; other processes are not there",
        on_shell!(own::kill),
    ),
    row(&["eval"], Flags::None, Nothing, "the shell's", on_shell!(calls::eval)),
    row(&["exec"], Flags::None, Nothing, "the shell's", on_shell!(calls::exec)),
    row(&[".", "source"], Flags::None, Nothing, "the shell's; `source` is bash's", on_shell!(calls::dot)),
    row(
        &["sh", "bash", "dash"],
        Own("-c -s -l -e -u -x -E -h -o"),
        Itself,
        "a shell of its own; `bash` in its ways that dash has, too, and in `pipefail`",
        on_shell!(calls::sh),
    ),
    row(
        &["env"],
        Leading("-i|--ignore-environment -u|--unset= -S|--split-string="),
        Nothing,
        "all",
        on_shell!(calls::env),
    ),
    row(
        &["sudo"],
        Leading("-E -H -n -S --user|-u= --login|-i"),
        Nothing,
        "running a command; all is root's, whoever is named",
        on_shell!(calls::env),
    ),
    row(&["nohup"], Leading(""), Nothing, "running a command", on_shell!(calls::rest)),
    row(&["setsid"], Leading("-w|--wait -f|--fork"), Nothing, "running a command", on_shell!(calls::rest)),
    row(
        &["timeout"],
        Leading("-k|--kill-after= -s|--signal= --foreground"),
        Nothing,
        "ending a command that takes too long, by no signal",
        on_shell!(calls::timeout),
    ),
    row(
        &["xargs"],
        Leading("-0|--null -r|--no-run-if-empty"),
        Itself,
        "one call with all words",
        on_shell!(calls::xargs),
    ),
    row(&["command"], Leading("-v|-V -p"), Nothing, "the shell's", on_shell!(calls::command)),
    row(&["type", "which"], Known(""), Nothing, "the path of a command", on_shell!(calls::command)),
    row(&["sleep"], Known(""), Nothing, "all", on_shell!(calls::sleep)),
    row(&["test", "["], Flags::None, Nothing, "all but comparing files", on_shell!(test::test)),
    row(&["echo"], Flags::None, Nothing, "dash's (`-n`) and bash's (`-n`, `-e`)", on_shell!(streams::echo)),
    row(&["printf"], Flags::None, Nothing, "`%s %d %i %u %b %x %o %c %%` with widths", on_shell!(streams::printf)),
    row(&["read"], Known("-r"), Itself, "one line, split into words", on_shell!(streams::read)),
    row(&["cat"], Known("-u"), Itself, "all", on_shell!(streams::cat)),
    // Files.
    row(&["mkdir"], Known("-p|--parents -m|--mode= -v|--verbose"), Nothing, "all; says nothing", Plain(files::mkdir)),
    row(
        &["rm", "unlink", "shred"],
        Known("-r|-R|--recursive -f|--force -u|--remove -d|--dir -v|--verbose"),
        Nothing,
        "removing; says nothing",
        Plain(files::rm),
    ),
    row(&["rmdir"], Known(""), Nothing, "all", Plain(files::rmdir)),
    row(
        &["cp"],
        Known("-r|-R|--recursive -a|--archive -p -f|--force -t|--target-directory= -v|--verbose"),
        Nothing,
        "copying with mode, owner and time; says nothing",
        Plain(files::copy),
    ),
    row(
        &["mv"],
        Known("-f|--force -t|--target-directory= -v|--verbose"),
        Nothing,
        "all; says nothing",
        Plain(files::copy),
    ),
    row(
        &["ln"],
        Known("-s|--symbolic -f|--force -n|--no-dereference -T|--no-target-directory -v|--verbose"),
        Nothing,
        "all; a hard link is a copy",
        Plain(files::link),
    ),
    row(&["touch"], Known(""), Nothing, "a file, or its time: now", Plain(files::touch)),
    row(&["chmod"], Own("-R --recursive -f -v"), Nothing, "octal and `[ugoa][+-=][rwxX]`", Plain(files::chmod)),
    row(
        &["chown", "chgrp"],
        Known("-R|--recursive -f -v|--verbose"),
        Nothing,
        "all; links are followed",
        Plain(files::chown),
    ),
    row(
        &["install"],
        Known("-d|--directory -D -m|--mode= -o|--owner= -g|--group= -t|--target-directory= -c -v|--verbose"),
        Nothing,
        "all; says nothing",
        Plain(files::install),
    ),
    row(&["truncate"], Known("-s|--size="), Nothing, "sizes in bytes, K, M and G", Plain(files::truncate)),
    row(&["mktemp"], Known("-d|--directory -p= -q|--quiet"), Nothing, "all", Plain(files::mktemp)),
    row(
        &["readlink", "realpath"],
        Known("-f|--canonicalize -e|--canonicalize-existing -m|--canonicalize-missing"),
        Nothing,
        "all",
        Plain(files::readlink),
    ),
    row(&["stat"], Known("-c|--format= -L|--dereference"), Nothing, "`%n %s %a %U %G %u %g %Y %F`", Plain(files::stat)),
    row(
        &["ls"],
        Known("-l -a|--all -A|--almost-all -d|--directory -1"),
        Nothing,
        "one name a line; `-a` without `.` and `..`",
        Plain(search::ls),
    ),
    row(
        &["find"],
        Own(
            "-name -path -type -maxdepth -mindepth -empty -size +0 -not ! -o -a -print -print0 -delete -xdev -mount -depth, and \
             -exec of rm and truncate",
        ),
        Nothing,
        "these tests and actions",
        Plain(search::find),
    ),
    row(&["scp"], Known("-t -r -p -d -v -q"), Itself, "the receiving side, for clients with `-O`", on_shell!(scp::scp)),
    row(&["tar"], Own("-xzpmf - -C FOLDER"), Itself, "unpacking what Remint sends", on_shell!(tar::tar)),
    // Text.
    row(
        &["head"],
        Known("-n|--lines= -c|--bytes= -q|--quiet|--silent -NUMBER"),
        WithoutFiles(0),
        "all",
        Plain(text::ends),
    ),
    row(
        &["tail"],
        Known("-n|--lines= -c|--bytes= -q|--quiet|--silent -NUMBER"),
        WithoutFiles(0),
        "all",
        Plain(text::ends),
    ),
    row(&["wc"], Known("-l|--lines -w|--words -c|--bytes"), WithoutFiles(0), "all", Plain(text::wc)),
    row(
        &["sort"],
        Known("-n|--numeric-sort -r|--reverse -u|--unique"),
        WithoutFiles(0),
        "whole lines",
        Plain(text::sort),
    ),
    row(&["uniq"], Known("-c|--count"), WithoutFiles(0), "all", Plain(text::uniq)),
    row(&["tee"], Known("-a|--append"), All, "all", Plain(text::tee)),
    row(
        &["tr"],
        Known("-c|-C|--complement -d|--delete -s|--squeeze-repeats"),
        All,
        "ranges, escapes, and the classes upper, lower, digit, alpha, alnum, space",
        Plain(text::tr),
    ),
    row(
        &["cut"],
        Known("-d|--delimiter= -f|--fields= -c|--characters= -b|--bytes="),
        WithoutFiles(0),
        "all; bytes are characters",
        Plain(text::cut),
    ),
    row(&["sha256sum"], Known("-c|--check"), WithoutFiles(0), "all", Plain(text::sha256sum)),
    row(
        &["base64"],
        Known("-d|--decode -w|--wrap="),
        WithoutFiles(0),
        "all; its lines are not wrapped",
        Plain(text::base64),
    ),
    row(&["basename"], Known(""), Nothing, "all", Plain(text::basename)),
    row(&["dirname"], Known(""), Nothing, "all", Plain(text::dirname)),
    row(&["seq"], Own(""), Nothing, "whole numbers, a million at most", Plain(text::seq)),
    row(
        &["grep", "egrep", "fgrep"],
        Known(
            "-e|--regexp= -f|--file= -q|--quiet|--silent -v|--invert-match -i|--ignore-case -c|--count -l|--files-with-matches \
             -n|--line-number -o|--only-matching -r|-R|--recursive -E|--extended-regexp -F|--fixed-strings -w|--word-regexp \
             -x|--line-regexp -h|--no-filename -H|--with-filename -s|--no-messages -a|--text",
        ),
        WithoutFiles(1),
        "expressions without back references",
        Plain(search::grep),
    ),
    row(
        &["sed"],
        Known("-n|--quiet|--silent -i|--in-place -E|-r|--regexp-extended -e|--expression="),
        WithoutFiles(1),
        "`s///` with g and i, `/…/d`, `/…/p`",
        Plain(search::sed),
    ),
    // Users and groups.
    row(&["id"], Known("-u|--user -g|--group -G|--groups -n|--name"), Nothing, "one group a user", Plain(accounts::id)),
    row(
        &["useradd", "adduser"],
        Known(
            "-g|--gid|--ingroup= -r|--system -d|--home-dir|--home= -s|--shell= -u|--uid= -m|--create-home \
             -M|--no-create-home -c|--comment|--gecos= -p|--password= -G|--groups= -U|--user-group --group --quiet \
             --disabled-password --disabled-login",
        ),
        Nothing,
        "a line of `/etc/passwd`; no password, and no further groups",
        Plain(accounts::useradd),
    ),
    row(
        &["groupadd", "addgroup"],
        Known("-g|--gid= -r|--system -f|--force --quiet"),
        Nothing,
        "a line of `/etc/group`",
        Plain(accounts::groupadd),
    ),
    row(
        &["userdel", "deluser"],
        Known("-r|--remove|--remove-home -f|--force --quiet --system"),
        Nothing,
        "their lines; the home stays",
        Plain(accounts::userdel),
    ),
    row(
        &["groupdel", "delgroup"],
        Known("-f|--force --quiet --system"),
        Nothing,
        "its line",
        Plain(accounts::groupdel),
    ),
    row(&["getent"], Known(""), Nothing, "passwd, group, hosts", Plain(accounts::getent)),
    // The system.
    row(&["sshd"], Own("-T -t -C -f"), Nothing, "what the configuration says", Plain(sshd::sshd)),
    row(
        &["cloud-init"],
        Known("-w|--wait -l|--logs|--long --format= -r|--reboot --machine-id -s|--seed --version|-v"),
        Nothing,
        "status and clean",
        on_shell!(cloud_init::cloud_init),
    ),
    row(
        &["systemctl"],
        Known(
            "--now -q|--quiet -f|--force -t|--type= -p|--property= -l|--full -a|--all --value --state= --failed --plain \
             --no-block --no-legend --no-pager --no-reload --no-ask-password",
        ),
        Nothing,
        "units that are enabled and active, and have no processes; no list has an entry",
        Plain(system::systemctl),
    ),
    row(
        &["reboot", "shutdown", "poweroff", "halt"],
        Known("-r|--reboot -h -P|-p|--poweroff -H|--halt -f|--force --no-wall"),
        Nothing,
        "at once, whatever the time",
        Plain(system::power),
    ),
    row(&["hostname"], Known("-f|--fqdn|--long -s|--short"), Nothing, "`/etc/hostname`", Plain(system::hostname)),
    row(&["uname"], Known("-a|--all -s -n -r -m"), Nothing, "all", Plain(system::uname)),
    row(&["date"], Known("-u|--utc|--universal"), Nothing, "now, in a format", Plain(system::date)),
    row(&["whoami", "logname"], Known(""), Nothing, "`root`", Plain(|work| work.say("root"))),
    row(&["pwd"], Known("-L -P"), Nothing, "all", Plain(|work| work.say(work.cwd))),
    row(&["nproc"], Known("--all"), Nothing, "one", Plain(|work| work.say("1"))),
    row(
        &["curl", "wget"],
        Any,
        Nothing,
        "a machine without a network: it fails",
        Plain(|work| work.fail("this simulated machine has no network")),
    ),
    row(&["chpasswd"], Any, All, NOTED, Plain(|work| work.note())),
    row(
        &[
            "apt",
            "apt-get",
            "clear",
            "dbus-uuidgen",
            "debconf-set-selections",
            "dpkg",
            "fstrim",
            "hash",
            "history",
            "hostnamectl",
            "journalctl",
            "killall",
            "ldconfig",
            "logger",
            "modprobe",
            "mount",
            "passwd",
            "pkill",
            "setcap",
            "ssh-keygen",
            "stty",
            "swapoff",
            "sync",
            "sysctl",
            "systemd-tmpfiles",
            "timedatectl",
            "ufw",
            "umount",
            "update-ca-certificates",
            "update-rc.d",
            "usermod",
        ],
        Any,
        Nothing,
        NOTED,
        Plain(|work| work.note()),
    ),
];
