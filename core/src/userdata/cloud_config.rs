//! Remint's own part: a `#cloud-config` in JSON, which is YAML too and leaves nothing to the quoting rules of YAML.

use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Puts the cloud-config marker before the JSON.
pub(crate) fn render(config: &Value) -> Zeroizing<String> {
    let json = Zeroizing::new(format!("{config:#}"));
    let mut out = Zeroizing::new(String::from("#cloud-config\n"));
    for character in json.chars() {
        // JSON may hold these as they are, YAML 1.1 may not.
        if matches!(u32::from(character), 0x7f..=0x9f | 0x2028 | 0x2029 | 0xfeff | 0xfffe | 0xffff) {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            out.push(character);
        }
    }
    out.push('\n');
    out
}

/// Restarts a unit without waiting for it: the unit may itself wait for cloud-init to end.
///
/// A unit that was started before its configuration was there may have used up its start limit; that is forgotten first.
pub(crate) fn restart(unit: &str) -> Value {
    let script = "systemctl reset-failed \"$1\" 2>/dev/null; exec systemctl restart --no-block \"$1\"";
    json!(["sh", "-c", script, "sh", unit])
}
