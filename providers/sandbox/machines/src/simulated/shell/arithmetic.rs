//! `$((…))`: integers, variables, the operators of C without assignment.

/// Evaluates an expression; `variable` gives the value of a name.
pub(super) fn evaluate(text: &str, variable: &dyn Fn(&str) -> String) -> Result<i64, String> {
    let mut reader = Reader { text: text.chars().collect(), at: 0, depth: 0, variable };
    let value = reader.binary(0)?;
    reader.blanks();
    if reader.at < reader.text.len() {
        return Err(format!("arithmetic expression: expecting EOF: \"{text}\""));
    }
    Ok(value)
}

/// Binary operators from the loosest to the tightest, longer ones before their beginnings.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

struct Reader<'a> {
    text: Vec<char>,
    at: usize,
    depth: usize,
    variable: &'a dyn Fn(&str) -> String,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        while self.text.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    fn starts(&self, token: &str) -> bool {
        token.chars().enumerate().all(|(index, c)| self.text.get(self.at + index) == Some(&c))
    }

    fn operator(&mut self, level: usize) -> Option<&'static str> {
        self.blanks();
        let found = LEVELS[level].iter().find(|operator| self.starts(operator))?;
        // `a | b` must not take the first half of `a || b`; the same for `&`, `<` and `>`.
        let next = self.text.get(self.at + 1);
        if found.len() == 1 && "|&<>".contains(found) && next.is_some_and(|c| found.starts_with(*c)) {
            return None;
        }
        self.at += found.len();
        Some(found)
    }

    fn binary(&mut self, level: usize) -> Result<i64, String> {
        if level == LEVELS.len() {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(level) {
            let right = self.binary(level + 1)?;
            left = apply(operator, left, right)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<i64, String> {
        self.blanks();
        self.depth += 1;
        if self.depth > 32 {
            return Err("arithmetic expression: too deeply nested".to_owned());
        }
        let value = match self.text.get(self.at) {
            Some(sign @ ('-' | '+' | '!')) => {
                let sign = *sign;
                self.at += 1;
                let value = self.unary()?;
                match sign {
                    '-' => value.wrapping_neg(),
                    '+' => value,
                    _ => i64::from(value == 0),
                }
            }
            Some('(') => {
                self.at += 1;
                let value = self.binary(0)?;
                self.blanks();
                if self.text.get(self.at) != Some(&')') {
                    return Err("arithmetic expression: expecting ')'".to_owned());
                }
                self.at += 1;
                value
            }
            Some(c) if c.is_ascii_alphanumeric() || *c == '_' => {
                let start = self.at;
                while self.text.get(self.at).is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    self.at += 1;
                }
                let word: String = self.text[start..self.at].iter().collect();
                number(&if word.starts_with(|c: char| c.is_ascii_digit()) { word } else { (self.variable)(&word) })?
            }
            _ => return Err("arithmetic expression: expecting primary".to_owned()),
        };
        self.depth -= 1;
        Ok(value)
    }
}

fn number(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let value = match digits {
        "" => Ok(0),
        hex if hex.starts_with("0x") => i64::from_str_radix(&hex[2..], 16),
        octal if octal.len() > 1 && octal.starts_with('0') => i64::from_str_radix(octal, 8),
        decimal => decimal.parse(),
    };
    let value = value.map_err(|_| format!("Illegal number: {text}"))?;
    Ok(if negative { value.wrapping_neg() } else { value })
}

fn apply(operator: &str, left: i64, right: i64) -> Result<i64, String> {
    let shift = (right & 63) as u32;
    Ok(match operator {
        "||" => i64::from(left != 0 || right != 0),
        "&&" => i64::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i64::from(left == right),
        "!=" => i64::from(left != right),
        "<=" => i64::from(left <= right),
        ">=" => i64::from(left >= right),
        "<" => i64::from(left < right),
        ">" => i64::from(left > right),
        "<<" => left.wrapping_shl(shift),
        ">>" => left.wrapping_shr(shift),
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        _ if right == 0 => return Err("division by zero".to_owned()),
        "/" => left.wrapping_div(right),
        _ => left.wrapping_rem(right),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_have_their_values() {
        let variable = |name: &str| if name == "i" { "7".to_owned() } else { String::new() };
        for (text, value) in [
            ("1+2*3", 7),
            ("(1+2)*3", 9),
            ("i - 1", 6),
            ("-i", -7),
            ("i % 4", 3),
            ("i > 3 && i < 9", 1),
            ("1 << 4", 16),
            ("!0 | 4", 5),
            ("none + 1", 1),
            ("0x10", 16),
        ] {
            assert_eq!(evaluate(text, &variable), Ok(value), "{text}");
        }
        assert!(evaluate("1 / 0", &variable).is_err());
        assert!(evaluate("1 +", &variable).is_err());
    }
}
