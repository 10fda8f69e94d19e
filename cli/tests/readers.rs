//! What the book has its readers type is typed, in a fresh folder and on simulated machines, and must print what the book shows.
//!
//! A page's `console` blocks are one session of a shell. A line that begins with `$ ` is typed, lines that begin with `> ` go on with
//! it; what follows is what it prints. `…` stands for anything: on a line of its own for any lines, within a line for the rest of
//! it. Times, ids, addresses and the like may differ. A command must end with exit code 0, unless `$ echo $?` comes next.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

#[path = "readers/page.rs"]
mod page;

use std::path::Path;

use common::World;
use page::{Page, Step};

/// What a program printed for each step, and its exit code.
async fn type_all(world: &World, page: &Page) -> Vec<(String, i32)> {
    // Each command's output, then a line that nothing else prints, with its exit code, which the next command finds in `$?`.
    let mut script = "exec 2>&1\n".to_owned();
    for Step { command, .. } in &page.steps {
        let quoted = command.replace('\'', r"'\''");
        script += &format!("eval '{quoted}'\nstatus=$?; printf '\\036%s\\036' $status; (exit $status)\n");
    }
    let program = Path::new(env!("CARGO_BIN_EXE_remint")).parent().unwrap();
    let path = std::env::join_paths(
        [program.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut shell = world.client("bash");
    shell.args(["--noprofile", "--norc", "-c", &script]).env("PATH", path.unwrap()).env("HOSTNAME", "here");
    let output = shell.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let parts: Vec<_> = text.split('\u{1e}').collect();
    parts.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].parse().unwrap())).collect()
}

/// Types a page's commands, and compares.
async fn read(name: &str) {
    let page = Page::read(name);
    assert!(page.steps.len() >= 3, "{name}: {} commands", page.steps.len());
    let world = World::empty().await;
    let typed = type_all(&world, &page).await;
    let mut wrong = Vec::new();
    for (index, step) in page.steps.iter().enumerate() {
        let Some((printed, code)) = typed.get(index) else {
            wrong.push(format!("{}: `{}` was not reached", step.at, step.command));
            continue;
        };
        if let Err(difference) = page::compare(&step.shown, printed) {
            wrong.push(format!("{}: $ {}\n{difference}", step.at, step.command));
        }
        let asked = page.steps.get(index + 1).is_some_and(|next| next.command == "echo $?");
        if *code != 0 && !asked {
            wrong.push(format!("{}: $ {}\nended with exit code {code}", step.at, step.command));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn a_reader_deploys_replaces_and_rolls_back() {
    read("getting-started.md").await;
}

#[tokio::test]
async fn a_reader_finds_out_why_a_bake_fails_and_mends_it() {
    read("failed-bake.md").await;
}
