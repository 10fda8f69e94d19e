//! The pauses between looks for something that a cloud may show late.

use std::time::Duration;

/// How often is looked while a cloud's answers may lag.
const LOOKS: u32 = 4;

/// The pauses before looks for something that may show `lag` late: each twice the one before, `lag` long together. A cloud
/// without a lag is looked at once, right away.
pub fn pauses(lag: Duration) -> impl Iterator<Item = Duration> {
    let looks = if lag.is_zero() { 1 } else { LOOKS };
    let unit = lag / (2_u32.pow(LOOKS) - 1);
    (0..looks).map(move |look| unit * 2_u32.pow(look))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_last_as_long_as_the_lag() {
        let seconds = |lag| pauses(Duration::from_secs(lag)).map(|pause| pause.as_secs()).collect::<Vec<_>>();
        assert_eq!(seconds(30), [2, 4, 8, 16]);
        assert_eq!(seconds(0), [0]);
    }
}
