//! Text of somebody else on a terminal: whatever machines, clouds and files hold, the terminal shows it and obeys nothing of it.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[path = "common/terminal.rs"]
mod terminal;

use std::fs;

use common::World;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// What must not reach a terminal: the clipboard (OSC 52, ended in both ways), the title, a query that the terminal answers as if it
/// was typed (DCS), clearing the screen by ESC and by C1, concealed text, BEL, backspace, bidirectional controls, invisible ones.
const HOSTILE: &str = "\u{1b}]52;c;aGFjaw==\u{7}\u{1b}]0;title\u{1b}\\\u{1b}P$q m\u{1b}\\\u{1b}[2J\u{1b}[8m\u{9b}2J\u{9d}52;c;eA==\u{9c}\u{1b}c\u{7}\u{8}\u{202e}\u{2066}\u{200b}\u{feff}";

/// The hostile text between two words that are looked for, so that it is certain that it was shown.
fn hostile(word: &str) -> String {
    format!("{word}-begins {HOSTILE} {word}-ends")
}

/// Runs `remint` on a terminal, and asserts that it shows the words and that nothing in its output is obeyed.
#[track_caller]
fn shows(world: &World, args: &[&str], variables: &[(&str, &str)], words: &[&str]) {
    let mut command = world.command(args).into_std();
    // With colours, as on a user's terminal.
    command.env_remove("NO_COLOR").env("TERM", "xterm-256color").envs(variables.iter().copied());
    let (bytes, code) = terminal::run(command);
    let text = String::from_utf8_lossy(&bytes);
    for word in words {
        for part in [format!("{word}-begins"), format!("{word}-ends")] {
            assert!(text.contains(&part), "remint {args:?} ended with {code:?} and does not show {part}:\n{text:?}");
        }
    }
    let obeyed = terminal::obeyed(&bytes);
    assert!(obeyed.is_empty(), "remint {args:?}: {obeyed:?} in\n{text:?}");
    // The same in a pipe, and as JSON, where the text in the values counts.
    for json in [false, true] {
        let mut command = world.command(&[if json { &["--json"][..] } else { &[] }, args].concat()).into_std();
        let output = command.envs(variables.iter().copied()).output().unwrap();
        for (stream, bytes) in [("output", output.stdout), ("error output", output.stderr)] {
            let text = String::from_utf8(bytes).unwrap();
            // The log (`-vv`) is text in both forms, and goes to the error output.
            let part = |line: &str| match stream {
                "error output" if !line.starts_with('{') => line.to_owned(),
                _ => strings(line),
            };
            let shown = if json { text.lines().map(part).collect::<Vec<_>>().join("\n") } else { text };
            let obeyed = terminal::obeyed(shown.as_bytes());
            assert!(obeyed.is_empty(), "remint {args:?}, {stream} (JSON: {json}): {obeyed:?} in\n{shown:?}");
        }
    }
}

/// All text in a line of JSON.
fn strings(line: &str) -> String {
    fn gather(value: &Value, out: &mut String) {
        match value {
            Value::String(text) => out.push_str(&format!("{text}\n")),
            Value::Array(values) => values.iter().for_each(|value| gather(value, out)),
            Value::Object(object) => object.iter().for_each(|(key, value)| {
                out.push_str(&format!("{key}\n"));
                gather(value, out);
            }),
            _ => {}
        }
    }
    let mut out = String::new();
    gather(&serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}")), &mut out);
    out
}

#[tokio::test]
async fn what_a_step_writes_and_the_last_lines_of_one_that_fails_are_inert() {
    let world = World::with_service().await;
    world.write("hostile", &format!("{}\n", hostile("step")));
    world.append("[[image.provision]]\ntype = \"file\"\nsource = \"hostile\"\ndestination = \"/opt/hostile\"\n");
    world.append("[[image.provision]]\ntype = \"shell\"\ninline = [\"cat /opt/hostile\", \"exit 3\"]\n");
    shows(&world, &["bake"], &[], &["step"]);
    shows(&world, &["-vv", "bake"], &[], &["step"]);
}

#[tokio::test]
async fn a_health_body_is_inert_on_the_terminal_and_in_the_history() {
    let world = World::with_service().await;
    let body = serde_json::to_string(&hostile("body")).unwrap().replace("\\b", "\\u0008");
    world.edit_file("simulation.toml", "status = 200\nbody = \"ok\"", &format!("status = 503\nbody = {body}"));
    world.edit("start_period = \"5s\"", "start_period = \"300ms\"");
    shows(&world, &["deploy"], &[], &["body"]);
    shows(&world, &["show", "r1"], &[], &["body"]);
}

#[tokio::test]
async fn names_and_consoles_of_instances_are_inert() {
    let world = World::with_service().await;
    world.remint(&["--provider", "sandbox", "deploy"]).await.success();
    world.remint(&["sandbox", "stop"]).await.success();
    world.rewrite_books("digitalocean", |books| {
        for droplet in books["droplets"].as_object_mut().unwrap().values_mut() {
            droplet["name"] = json!(hostile("name"));
        }
    });
    let consoles = World::files(world.sandbox_dir()).into_iter().filter(|file| file.ends_with("console.log"));
    let written = consoles.map(|file| fs::write(file, format!("{}\r\n", hostile("console"))).unwrap()).count();
    assert!(written > 0, "no console was found");
    world.remint(&["sandbox", "start"]).await.success();
    shows(&world, &["status"], &[], &["name"]);
    shows(&world, &["console"], &[], &["console"]);
    let console = world.json(&["console"]).await;
    assert!(console["lines"][0].as_str().unwrap().contains("console-begins"), "{console}");
    // What was put into the books by hand is not as any specification says.
    fs::write(world.sandbox_dir().join("answers.jsonl"), "").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_says_is_inert() {
    let world = World::with_service().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = json!({ "id": hostile("id"), "message": hostile("message") }).to_string();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 8192];
            let _ = stream.read(&mut request).await;
            let head = format!("HTTP/1.1 422 No\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
            let _ = stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n{body}").as_bytes()).await;
        }
    });
    let variables = [("DIGITALOCEAN_API_URL", url.as_str()), ("DIGITALOCEAN_TOKEN", "dop_v1_of_a_test")];
    tokio::task::block_in_place(|| {
        shows(&world, &["--provider", "digitalocean", "plan"], &variables, &["message"]);
    });
    server.abort();
}

#[tokio::test]
async fn what_a_manifest_and_a_journal_hold_is_inert() {
    let world = World::with_service().await;
    let value = serde_json::to_string(&hostile("manifest")).unwrap().replace("\\b", "\\u0008");
    world.edit("size = \"s-1vcpu-1gb\"", &format!("size = {value}"));
    shows(&world, &["validate"], &[], &[]);
    shows(&world, &["plan"], &[], &["manifest"]);
    world.edit(&format!("size = {value}"), "size = \"s-1vcpu-1gb\"");
    world.remint(&["deploy"]).await.success();
    let record =
        World::files(&world.folder().join(".remint")).into_iter().find(|file| file.ends_with("release.json")).unwrap();
    let mut release: Value = serde_json::from_str(&fs::read_to_string(&record).unwrap()).unwrap();
    for field in ["commit", "created_by"] {
        release[field] = json!(hostile(field));
    }
    fs::write(&record, release.to_string()).unwrap();
    shows(&world, &["history"], &[], &[]);
    shows(&world, &["show", "r1"], &[], &["commit", "created_by"]);
}

#[tokio::test]
async fn the_live_line_leaves_nothing_behind() {
    let world = World::with_service().await;
    let run = |args: &[&str]| {
        let mut command = world.command(args).into_std();
        command.env_remove("NO_COLOR").env("TERM", "xterm-256color");
        let (bytes, _) = terminal::run(command);
        let screen = terminal::screen(&bytes);
        let text = screen.join("\n");
        // A live line begins with a spinner and ends with the time that has passed.
        let is_spinner = |c: char| ('\u{2800}'..='\u{28ff}').contains(&c);
        assert!(String::from_utf8_lossy(&bytes).contains(is_spinner), "remint {args:?} has a live line: {text}");
        let left: Vec<_> = screen.iter().filter(|line| line.contains(is_spinner)).collect();
        assert!(left.is_empty(), "remint {args:?} leaves {left:?} in\n{text}");
        let blank = screen.iter().rev().skip(1).filter(|line| line.is_empty()).count();
        assert_eq!(blank, 0, "remint {args:?} leaves empty lines in\n{text}");
        text
    };
    let long = "x".repeat(250);
    world.edit("\"mkdir -p /opt\"", &format!("\"mkdir -p /opt\", \"echo {long}; sleep 0.5; echo after; sleep 0.3\""));
    let text = run(&["deploy"]);
    assert!(text.contains("r1 serves"), "{text}");
    world.append("[[image.verify]]\nname = \"a check that fails\"\ncommand = \"sleep 0.5; false\"\n");
    run(&["bake"]);
    run(&["-v", "bake"]);
}
