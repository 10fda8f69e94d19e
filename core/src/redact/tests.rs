use base64::{Engine as _, engine::general_purpose};
use proptest::prelude::*;

use super::{LineMasker, MASK, Masker, clean, excerpt, mask::Masker as Own, show, show_line};

const SECRET: &str = r#"s3cr€t "q'uo\te"/+-_ %41&<x>"#;

/// What the outside may make of a text, by name.
fn encodings(text: &str) -> Vec<(&'static str, String)> {
    let percent = |keep: &dyn Fn(u8) -> bool, upper: bool| -> String {
        text.bytes()
            .map(|byte| match byte {
                _ if keep(byte) => char::from(byte).to_string(),
                _ if upper => format!("%{byte:02X}"),
                _ => format!("%{byte:02x}"),
            })
            .collect()
    };
    let some = percent(&|byte| byte.is_ascii_alphanumeric(), true);
    let quoted = serde_json::to_string(text).unwrap();
    let ascii: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
        .collect();
    let mut all = vec![
        ("raw", text.to_owned()),
        ("percent", some.clone()),
        ("percent, small digits", percent(&|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte), false)),
        ("percent, all of it", percent(&|_| false, true)),
        ("percent twice", some.replace('%', "%25")),
        ("hexadecimal", hex::encode(text)),
        ("HEXADECIMAL", hex::encode_upper(text)),
        ("JSON", quoted.trim_matches('"').to_owned()),
        ("JSON in JSON", serde_json::to_string(&quoted).unwrap()),
        ("JSON, ASCII", ascii),
        ("Debug", format!("{text:?}")),
    ];
    let before = ["", "a", "ab", "abc", "user:", "é"];
    let after = ["", "z", "\n", " and more"];
    for (name, engine) in [
        ("base64", &general_purpose::STANDARD),
        ("base64 without padding", &general_purpose::STANDARD_NO_PAD),
        ("base64 for URLs", &general_purpose::URL_SAFE),
        ("base64 for URLs without padding", &general_purpose::URL_SAFE_NO_PAD),
    ] {
        for (before, after) in before.iter().flat_map(|before| after.iter().map(move |after| (before, after))) {
            all.push((name, engine.encode(format!("{before}{text}{after}"))));
        }
    }
    all
}

/// The longest part of `text` that is in `shown`, in characters that are in both without what folds away.
fn longest_part(text: &str, shown: &str) -> usize {
    let chars: Vec<char> = text.chars().collect();
    let part = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
    (0..chars.len())
        .map(|from| (from + 1..=chars.len()).take_while(|to| shown.contains(&part(from, *to))).count())
        .max()
        .unwrap_or_default()
}

fn knowing(secret: &str) -> Own {
    let masker = Masker::default();
    masker.learn(secret);
    masker
}

#[test]
fn a_secret_is_masked_in_every_encoding_wherever_it_stands() {
    for secret in [SECRET, "hunter2", "abcd", "dop_v1_0123456789abcdef", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"] {
        let masker = knowing(secret);
        for (name, encoded) in encodings(secret) {
            for (before, after) in [("", ""), ("x=", ";"), ("C:\\", ""), ("%", "%"), ("a", "b"), ("| ", " |")] {
                let text = format!("{before}{encoded}{after}");
                let shown = masker.mask(&text);
                assert!(shown.contains(MASK), "{secret}: {name}: {text}");
                // What depends on neighbours in base64 is at most two characters at each end.
                let left = longest_part(&encoded, &shown.replace(MASK, ""));
                let context = if name.starts_with("base64") { 24 } else { 3 };
                assert!(left <= context, "{secret}: {name}: {text} gives {shown}");
            }
        }
    }
}

#[test]
fn a_secret_cut_by_line_ends_and_indentation_is_masked() {
    let secret = "correct-horse-battery-staple";
    let masker = knowing(secret);
    for (name, encoded) in encodings(secret) {
        for width in [1, 5, 7, 76] {
            for between in ["\n", "\r\n", "\n    ", "\\n", " \n"] {
                let pieces: Vec<&str> =
                    encoded.as_bytes().chunks(width).map(|c| std::str::from_utf8(c).unwrap_or("?")).collect();
                let text = pieces.join(between);
                // An escape cannot be cut by another escape.
                if text.contains('?') || (between == "\\n" && (name.contains("JSON") || name == "Debug")) {
                    continue;
                }
                let shown = masker.mask(&text);
                assert!(shown.contains(MASK), "{name} in pieces of {width}: {text}");
            }
        }
    }
    assert_eq!(masker.mask("a correct-horse-\nbattery-staple b\nc"), "a ***\n*** b\nc", "line ends stay");
}

#[test]
fn an_escape_sequence_inside_does_not_hide_a_secret() {
    let masker = knowing("hunter2hunter2");
    for inside in ["\u{1b}[0m", "\u{200b}", "\u{1b}]8;;x\u{7}", "\u{7}", "\u{ad}", "\u{1b}", "\u{2066}"] {
        let text = format!("it is hunter2{inside}hunter2.");
        assert_eq!(masker.show(&text), "it is ***.", "{inside:?}");
    }
    for before in ["\u{1b}", "\u{1b}[", "\u{9b}", "\u{1b}(", "\u{1b}]", "\u{1b}]0;\u{7}"] {
        let shown = masker.show(&format!("{before}hunter2hunter2")).into_owned();
        assert!(!shown.contains("unter2"), "{before:?} gives {shown:?}");
    }
}

#[test]
fn each_line_of_a_secret_is_one_and_the_frame_of_a_key_is_none() {
    let key = "-----BEGIN PRIVATE KEY-----\nAAAABBBBCCCCDDDD\nEEEEFFFFGGGGHHHH\n-----END PRIVATE KEY-----";
    let masker = knowing(key);
    assert_eq!(masker.mask("only EEEEFFFFGGGGHHHH here"), "only *** here");
    assert_eq!(masker.mask("-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
    assert_eq!(masker.mask(&key.replace('\n', "\\n")), MASK);
    let indented = key.replace('\n', "\n      ");
    assert!(!masker.mask(&indented).contains("EEEE"));
}

#[test]
fn a_file_that_holds_a_quoted_secret_is_masked_when_it_is_encoded_as_a_whole() {
    let secret = r#"k"9/+x%&$abc'def-0123456789"#;
    let masker = knowing(secret);
    let variable = secret.replace('"', r#"\""#).replace('$', r"\$");
    for written in [variable, serde_json::to_string(secret).unwrap(), secret.replace('\'', r"'\''")] {
        for before in ["A=", "AB=", "ABC="] {
            let file = format!("{before}\"{written}\"\nNEXT=1\n");
            for text in [general_purpose::STANDARD.encode(&file), hex::encode(&file)] {
                let shown = masker.mask(&text);
                assert!(shown.contains(MASK) && shown.len() < text.len() / 2 + 24, "{file} gives {shown}");
            }
        }
    }
}

#[test]
fn what_is_too_short_is_no_secret_and_short_ones_are_not_found_in_prose() {
    assert_eq!(knowing("abc").mask("abc abcdef"), "abc abcdef");
    let masker = knowing("into");
    assert_eq!(masker.mask("walk in to it; into"), "walk in to it; ***");
    assert_eq!(masker.mask("in\nto"), "***\n***");
    assert_eq!(knowing("no way").mask("is it no way or no  way?"), "is it *** or ***?");
}

#[test]
fn a_cut_leaves_no_considerable_part_of_a_secret() {
    let masker = knowing("correct-horse-battery-staple");
    assert_eq!(masker.mask_cut("503: correct-horse-bat"), "503: ***");
    assert_eq!(masker.mask_cut("503: corr"), "503: corr");
    Masker::process().learn("quite-a-secret-for-the-cut");
    let text = format!("{}quite-a-secret-for-the-cut", "x".repeat(90));
    assert_eq!(excerpt(&text, 100), format!("{}***", "x".repeat(90)));
    assert_eq!(excerpt(&"ü".repeat(60), 104), format!("{}…", "ü".repeat(50)));
}

fn through(masker: &Own, lines: &[&str]) -> Vec<String> {
    let (mut masker, mut out) = (LineMasker::new(masker), Vec::new());
    lines.iter().for_each(|line| masker.push(line, &mut |line| out.push(line)));
    masker.finish(&mut |line| out.push(line));
    out
}

#[test]
fn a_secret_that_comes_in_several_lines_is_masked_in_each() {
    let masker = knowing("correct-horse-battery-staple");
    assert_eq!(through(&masker, &["a correct-horse", "-battery", "-staple b", "c"]), ["a ***", "***", "*** b", "c"]);
    assert_eq!(through(&masker, &["a correct-horse", "and no more"]), ["a correct-horse", "and no more"]);
    assert_eq!(through(&masker, &["a correct-horse"]), ["a ***"], "the rest may have been cut off");
    // What was passed on before is remembered.
    let single: Vec<String> = "correct-horse-battery-staple".chars().map(String::from).collect();
    let single: Vec<&str> = single.iter().map(String::as_str).collect();
    assert_eq!(through(&masker, &single)[2..].concat().replace(MASK, ""), "");
    let (mut lines, mut out) = (LineMasker::new(&masker), Vec::new());
    lines.push("nothing of it", &mut |line| out.push(line));
    assert_eq!(out, ["nothing of it"], "an ordinary line does not wait");
}

#[test]
fn lines_that_only_look_like_a_secret_are_not_held_for_ever() {
    let masker = knowing(&"ab".repeat(700));
    let line = "ab".repeat(8_000);
    let (mut lines, mut out) = (LineMasker::new(&masker), 0);
    for _ in 0..6 {
        lines.push(&line, &mut |_| out += 1);
    }
    assert!(out >= 4, "{out}");
}

#[test]
fn foreign_text_on_one_line_stays_on_one() {
    assert_eq!(show_line("app\n==> done\r\u{1b}[2Kx\ty"), "app ==> done x y");
    assert_eq!(show("plain"), "plain");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_secret_in_any_surroundings_is_masked(
        secret in "[!-~]{4,60}", before in ".{0,20}", after in ".{0,20}", which in 0_usize..100
    ) {
        let masker = knowing(&secret);
        let all = encodings(&secret);
        let (name, encoded) = &all[which % all.len()];
        let text = format!("{before}{encoded}{after}");
        let shown = masker.mask(&text);
        prop_assert!(shown.contains(MASK), "{name}: {text:?}");
        if *name == "raw" {
            prop_assert!(!shown.contains(&secret), "{text:?} gives {shown:?}");
        }
    }

    #[test]
    fn masking_never_fails_and_leaves_other_text_alone(text in ".{0,200}") {
        let masker = knowing("correct-horse-battery-staple");
        prop_assert_eq!(masker.mask(&text), text.as_str());
        let _ = masker.mask_cut(&clean(&text));
    }
}

#[test]
fn secrets_that_are_learnt_one_by_one_are_all_found_by_a_few_finders() {
    let masker = Masker::default();
    for number in 0..300 {
        masker.learn(&format!("secret-{number:04}-word"));
        assert_eq!(masker.mask(&format!("<secret-{number:04}-word>")), "<***>");
    }
    let all: Vec<_> = (0..300).map(|number| format!("secret-{number:04}-word")).collect();
    assert!(!masker.mask(&all.join(" ")).contains("secret"));
    assert_eq!(masker.mask_cut("and secret-0007-w"), "and ***");
    assert!(masker.finders().len() <= 10, "{}", masker.finders().len());
}
