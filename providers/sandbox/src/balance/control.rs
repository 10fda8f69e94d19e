//! HAProxy's control socket: one connection for each exchange.

use std::{fs::File, io, os::fd::AsRawFd as _, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use super::config::{MASTER, SOCKET, checked, member, server};
use crate::cloud::balancer::MemberHealth;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A member of a listener, as `show stat` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) backend: String,
    pub(super) member: u64,
    /// Whether it takes no connections because it was switched off, or was not enabled yet.
    pub(super) waits: bool,
    pub(super) health: MemberHealth,
    /// Whether its last check passed.
    pub(super) passed: bool,
    /// How many connections it has.
    pub(super) connections: u64,
}

/// Gives commands in one line and returns all that is answered. A folder's path may be longer than a socket's may be, so the
/// socket is reached through the open folder.
pub(super) async fn command(folder: &Path, line: &str) -> Result<String, String> {
    ask(folder, SOCKET, line).await
}

/// Whether the process that starts the others listens to signals: one that comes earlier is lost.
pub(super) async fn is_ready(folder: &Path) -> bool {
    ask(folder, MASTER, "show proc").await.is_ok_and(|answer| answer.contains("master"))
}

async fn ask(folder: &Path, socket: &str, line: &str) -> Result<String, String> {
    let work = async {
        let open = File::open(folder)?;
        let mut stream = UnixStream::connect(format!("/proc/self/fd/{}/{socket}", open.as_raw_fd())).await?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        if socket == MASTER {
            // It waits for more until there can be none.
            stream.shutdown().await?;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let answered = tokio::time::timeout(TIMEOUT, work).await;
    let answered = answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    answered.map_err(|error| format!("HAProxy's control socket: {error}"))
}

/// The process that answers: another one after each new configuration.
pub(super) async fn worker(folder: &Path) -> Option<u32> {
    let info = command(folder, "show info").await.ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid: ")?.trim().parse().ok())
}

/// All members of all listeners. Connections that a member has without being healthy count as others do.
pub(super) async fn seen(folder: &Path) -> Result<Vec<Seen>, String> {
    // Servers alone, of all proxies.
    parse(&command(folder, "show stat -1 4 -1").await?).map(joined)
}

/// Adds what was seen of members without checks to what was seen of the same ones with checks.
fn joined(seen: Vec<Seen>) -> Vec<Seen> {
    let (spare, mut seen): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|one| checked(&one.backend).is_some());
    for one in &mut seen {
        let same = |other: &&Seen| other.member == one.member && checked(&other.backend) == Some(&one.backend);
        one.connections += spare.iter().filter(same).map(|other| other.connections).sum::<u64>();
    }
    seen
}

/// Adds a member. It gets connections once its checks have passed.
pub(super) async fn add(folder: &Path, backend: &str, id: u64, at: &str) -> Result<(), String> {
    let name = format!("{backend}/{}", server(id));
    let answer = command(folder, &format!("add server {name} {at}")).await?;
    if !answer.contains("New server registered") {
        return Err(format!("HAProxy takes no member {name}: {}", answer.trim()));
    }
    begin(folder, backend, id).await
}

/// Adds a member that gets connections at once, and has no checks. One that is there is a success.
pub(super) async fn add_unchecked(folder: &Path, backend: &str, id: u64, at: &str) -> Result<(), String> {
    let name = format!("{backend}/{}", server(id));
    let answer = command(folder, &format!("add server {name} {at}; enable server {name}")).await?;
    if ["New server registered", "Already exists"].iter().any(|good| answer.contains(good)) {
        Ok(())
    } else {
        Err(format!("HAProxy takes no member {name}: {}", answer.trim()))
    }
}

/// Puts a member in service whose last check passed, however many should.
pub(super) async fn rise(folder: &Path, backend: &str, id: u64) -> Result<(), String> {
    silent(folder, &format!("set server {backend}/{} health up", server(id))).await
}

/// Cuts all connections of a member.
pub(super) async fn cut(folder: &Path, backend: &str, id: u64) -> Result<(), String> {
    silent(folder, &format!("shutdown sessions server {backend}/{}", server(id))).await
}

/// Lets a member that waits have connections once its checks have passed. Without the drain, it would have some before the
/// first one.
pub(super) async fn begin(folder: &Path, backend: &str, id: u64) -> Result<(), String> {
    let name = format!("{backend}/{}", server(id));
    let lines = [
        format!("set server {name} state drain"),
        format!("enable health {name}"),
        format!("set server {name} health down"),
        format!("set server {name} state ready"),
    ];
    silent(folder, &lines.join("; ")).await
}

/// Lets a member that drains have connections again, if its checks pass.
pub(super) async fn again(folder: &Path, backend: &str, id: u64) -> Result<(), String> {
    silent(folder, &format!("set server {backend}/{} state ready", server(id))).await
}

/// Gives a member no further connections, and leaves it those that it has.
pub(super) async fn drain(folder: &Path, backend: &str, id: u64) -> Result<(), String> {
    silent(folder, &format!("set server {backend}/{} state drain", server(id))).await
}

/// Removes a member that has no connections. One that is gone is a success.
pub(super) async fn remove(folder: &Path, backend: &str, id: u64) -> Result<(), String> {
    let name = format!("{backend}/{}", server(id));
    let answer = command(folder, &format!("set server {name} state maint; del server {name}")).await?;
    match ["Server deleted", "No such server"].iter().any(|good| answer.contains(good)) {
        true => Ok(()),
        false => Err(answer.trim().to_owned()),
    }
}

/// Gives commands that answer nothing when they succeed.
async fn silent(folder: &Path, line: &str) -> Result<(), String> {
    let answer = command(folder, line).await?;
    match answer.trim() {
        "" => Ok(()),
        problem => Err(format!("HAProxy answers {problem:?} to {line:?}")),
    }
}

/// Reads `show stat`: a heading, then a line for each, in columns that the heading names.
fn parse(text: &str) -> Result<Vec<Seen>, String> {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let heading: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let column = |name: &str| {
        let at = heading.iter().position(|known| *known == name);
        at.ok_or_else(|| format!("HAProxy's statistics have no column {name}"))
    };
    let (proxy, name, status) = (column("pxname")?, column("svname")?, column("status")?);
    let (check, connections) = (column("check_status")?, column("scur")?);
    let read = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
        Some(Seen {
            backend: cell(proxy).to_owned(),
            member: member(cell(name))?,
            waits: cell(status).starts_with("MAINT"),
            passed: cell(check).trim_start_matches("* ").ends_with("OK"),
            // While a check runs, a star is before what the last one said.
            health: match (cell(status), cell(check).trim_start_matches("* ")) {
                (_, "INI" | "") => MemberHealth::Unchecked,
                (status, _) if status.starts_with("UP") => MemberHealth::Healthy,
                _ => MemberHealth::Unhealthy,
            },
            connections: cell(connections).parse().unwrap_or_default(),
        })
    };
    Ok(lines.filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_by_their_heading() {
        let text = "# pxname,svname,qcur,scur,status,check_status,\n\
                    to-80,i-7,0,0,DOWN 1/3,L7OK,\n\
                    to-80,i-8,0,4,UP,* L7OK,\n\
                    to-80,i-9,0,0,DOWN,* INI,\n\
                    to-80,i-10,0,2,DRAIN,L7OK,\n\
                    to-80,i-11,0,0,MAINT,,\n\
                    to-80,BACKEND,0,4,UP,,\n\n";
        let seen = parse(text).unwrap();
        let told: Vec<_> = seen.iter().map(|one| (one.member, one.waits, one.health, one.connections)).collect();
        assert_eq!(
            told,
            [
                (7, false, MemberHealth::Unhealthy, 0),
                (8, false, MemberHealth::Healthy, 4),
                (9, false, MemberHealth::Unchecked, 0),
                (10, false, MemberHealth::Unhealthy, 2),
                (11, true, MemberHealth::Unchecked, 0),
            ]
        );
        assert_eq!(seen[0].backend, "to-80");
        let passed: Vec<bool> = seen.iter().map(|one| one.passed).collect();
        assert_eq!(passed, [true, true, false, true, false]);
        assert!(parse("# pxname,svname\n").unwrap_err().contains("status"));
    }

    #[test]
    fn a_member_is_seen_once_with_all_its_connections() {
        let text = "# pxname,svname,scur,status,check_status\n\
                    to-80,i-7,1,DOWN,L4CON\n\
                    any-to-80,i-7,2,no check,\n\
                    any-to-443,i-7,4,no check,\n\
                    to-443,i-7,0,UP,L4OK\n";
        let seen = joined(parse(text).unwrap());
        let told: Vec<_> = seen.iter().map(|one| (one.backend.as_str(), one.health, one.connections)).collect();
        assert_eq!(told, [("to-80", MemberHealth::Unhealthy, 3), ("to-443", MemberHealth::Healthy, 4)]);
    }
}
