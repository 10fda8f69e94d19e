//! `cloud-init`, as scripts ask it.

use super::super::{
    host::{CloudInit, Request},
    state::{Call, Flow, Shell},
};
use crate::simulated::disk::{DiskError, lock};

pub(super) async fn cloud_init(shell: &mut Shell, call: &Call) -> Flow {
    let words = &call.words;
    match words.operands.first().map(String::as_str) {
        Some("status") => {
            let mut stage = shell.host.cloud_init.clone();
            if words.has("w") {
                // The sender lives as long as the machine has power, and this command not longer than that.
                stage.wait_for(|stage| *stage != CloudInit::Running).await.ok();
            }
            let stage = *stage.borrow();
            let word = match stage {
                CloudInit::Running => "running",
                CloudInit::Done => "done",
                CloudInit::Failed => "error",
            };
            let json = words.value("format") == Some("json");
            let text = if json {
                let result = lock(&shell.host.disk).text("/run/cloud-init/result.json");
                let errors = serde_json::from_str::<serde_json::Value>(&result)
                    .ok()
                    .and_then(|value| value.pointer("/v1/errors").cloned())
                    .unwrap_or_else(|| serde_json::json!([]));
                // As 22.4.2, which knows no recoverable errors.
                let value = serde_json::json!({
                    "boot_status_code": "enabled-by-generator", "datasource": "digitalocean",
                    "detail": "DataSourceDigitalOcean", "errors": errors, "last_update": "", "status": word,
                });
                format!("{value:#}\n")
            } else {
                format!("status: {word}\n")
            };
            shell.print(text).await?;
            Ok(i32::from(stage == CloudInit::Failed))
        }
        Some("clean") => {
            let mut disk = lock(&shell.host.disk);
            let logs = words.has("l");
            let cleaned = ["/var/lib/cloud", "/run/cloud-init"].iter().try_for_each(|folder| {
                for name in disk.list(folder).unwrap_or_default() {
                    disk.remove_tree(&format!("{folder}/{name}"))?;
                }
                Ok::<_, DiskError>(())
            });
            if logs {
                for log in ["/var/log/cloud-init.log", "/var/log/cloud-init-output.log"] {
                    // Logs that are gone are as clean as they can be.
                    disk.unlink(log).ok();
                }
            }
            if words.has("machine-id") && disk.write("/etc/machine-id", b"uninitialized\n").is_err() {
                return Ok(1);
            }
            if words.has("r") {
                shell.host.requests.send(Request::Reboot).ok();
            }
            Ok(i32::from(cleaned.is_err()))
        }
        None if words.has("version") => shell.print("/usr/bin/cloud-init 22.4.2\n").await,
        other => Err(shell.not_simulated(&format!("cloud-init {}", other.unwrap_or_default())).await),
    }
}
