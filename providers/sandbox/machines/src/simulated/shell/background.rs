//! Commands in the background: they run beside their script and outlive it, until the power goes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

use super::{
    ast::AndOr,
    io::Input,
    job::{on_thread, until_ended},
    state::{Child, Flow, Shell, Stop},
};

/// The number of the last process in the background; `$$` is 1000 in every shell.
static LAST: AtomicU64 = AtomicU64::new(1000);

impl Shell {
    /// Runs a list beside the script, without standard input.
    pub(super) async fn background(&mut self, list: &Arc<AndOr>) -> Flow {
        let Some(permit) = self.host.limits.job() else {
            self.complain("Cannot fork").await;
            return Err(Stop::Exit(2));
        };
        let cancel = self.host.power.child_token();
        let mut shell = self.subshell();
        shell.io.input = Input::empty();
        shell.cancel = cancel.clone();
        let (list, token) = (list.clone(), cancel.clone());
        let (sender, ended) = watch::channel(None);
        let job = async move {
            let (name, err) = (shell.name.clone(), shell.io.err.clone());
            let ended = until_ended(&token, &name, &err, shell.and_or(&list)).await;
            (shell, ended)
        };
        if !on_thread(permit, job, move |ended| _ = sender.send(Some(ended))) {
            return Err(Stop::Killed("KILL"));
        }
        let pid = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        self.children.push(Child { pid, ended, cancel });
        Ok(0)
    }

    /// `wait`: for all that this shell has in the background, or for the processes that are named.
    pub(super) async fn wait(&mut self, pids: &[String]) -> Flow {
        if pids.is_empty() {
            for mut child in std::mem::take(&mut self.children) {
                child.wait().await;
            }
            return Ok(0);
        }
        let mut status = 0;
        for pid in pids {
            status = match self.child(pid) {
                Some(child) => child.wait().await,
                None => 127,
            };
        }
        Ok(status)
    }

    /// The process of that number, where this shell has it in the background.
    pub(super) fn child(&mut self, pid: &str) -> Option<&mut Child> {
        let pid: u64 = pid.trim_start_matches(['%', '-']).parse().ok()?;
        self.children.iter_mut().find(|child| child.pid == pid)
    }
}
