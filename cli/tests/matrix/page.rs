//! The table in `docs/reliability.md`.

use std::{fs, path::Path};

use super::call::{SCENES, STORY};

const BEGIN: &str = "<!-- The fault matrix: `make matrix` writes what follows. -->\n";
const END: &str = "<!-- The end of the fault matrix. -->\n";
const HEAD: &str = "| API | command | calls | cells | passed |\n|---|---|---|---|---|\n";

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) scene: usize,
    pub(crate) command: usize,
    pub(crate) calls: usize,
    pub(crate) cells: usize,
    pub(crate) passed: usize,
}

impl Row {
    fn line(&self) -> String {
        let Self { calls, cells, passed, .. } = self;
        format!("| {} | {} | {calls} | {cells} | {passed} |\n", title(self.scene), STORY[self.command].0)
    }
}

fn title(scene: usize) -> String {
    let api = match SCENES[scene].provider {
        "digitalocean" => "DigitalOcean",
        "aws" => "AWS",
        _ => "Google Cloud",
    };
    if SCENES[scene].listener.is_some() { format!("{api}, balanced") } else { api.to_owned() }
}

/// Writes the lines of the scenes that were run, and leaves those of the others as they are.
pub(crate) fn write(rows: &[Row]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/reliability.md");
    let page = fs::read_to_string(&path).unwrap();
    fs::write(&path, renewed(&page, rows)).unwrap();
}

fn renewed(page: &str, rows: &[Row]) -> String {
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (former, after) = rest.split_once(END).unwrap();
    let mut table = String::from(HEAD);
    for scene in 0..SCENES.len() {
        let new: String = rows.iter().filter(|row| row.scene == scene).map(Row::line).collect();
        let is_old = |line: &&str| line.starts_with(&format!("| {} |", title(scene)));
        let old: String = former.split_inclusive('\n').filter(is_old).collect();
        table.push_str(if new.is_empty() { &old } else { &new });
    }
    format!("{before}{BEGIN}\n{table}\n{END}{after}")
}

#[test]
fn the_lines_of_one_scene_are_renewed_and_the_rest_of_the_page_stays() {
    let row = |scene, passed| Row { scene, command: 0, calls: 2, cells: 30, passed };
    let page = renewed(&format!("before\n{BEGIN}{END}after\n"), &[row(0, 29), row(1, 30)]);
    let page = renewed(&page, &[row(0, 30)]);
    let expected = format!(
        "before\n{BEGIN}\n{HEAD}| DigitalOcean | deploy | 2 | 30 | 30 |\n| AWS | deploy | 2 | 30 | 30 |\n\n{END}after\n"
    );
    assert_eq!(page, expected);
}
