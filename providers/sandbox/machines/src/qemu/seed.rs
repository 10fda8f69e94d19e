//! What cloud-init reads in a guest: the NoCloud data source on a volume labelled `CIDATA`
//! (<https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>).

use serde_json::json;

use super::iso9660::volume;
use crate::MachineSpec;

/// The file's name in a machine's folder.
pub(super) const SEED: &str = "seed.iso";

/// The size of every seed that leaves room, so that a saved guest finds a disk as large as the one it saw.
pub(super) const SIZE: usize = 1 << 20;

/// The seed of a machine.
pub(super) fn seed(spec: &MachineSpec) -> Vec<u8> {
    // JSON is YAML. The id is a string, as the real service's is.
    let meta = json!({
        "instance-id": spec.id.to_string(),
        "local-hostname": spec.name,
        "public-keys": spec.ssh_keys,
        "region": spec.region,
    });
    let user = spec.user_data.as_deref().unwrap_or("#cloud-config\n{}\n");
    volume("CIDATA", &[("meta-data", meta.to_string().as_bytes()), ("user-data", user.as_bytes())], SIZE)
}
