//! A disk on the real disk: one file, so that it is replaced as a whole.
//!
//! The first line names the format and its version; then, for every node, a line of JSON, followed by the bytes of a
//! file and a newline. Text can be read with any pager, and contents are not blown up by an encoding.

use std::{
    fs,
    io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write},
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::tree::{Disk, Kind, Node};

/// The first line. A later version reads this one as well.
const HEADER: &str = "remint simulated disk 1";

#[derive(Serialize, Deserialize)]
struct Line {
    path: String,
    mode: u32,
    owner: String,
    group: String,
    mtime: u64,
    #[serde(flatten)]
    kind: LineKind,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum LineKind {
    Directory,
    File { size: usize },
    Symlink { target: String },
}

/// Writes the disk to a file, in one step as others see it.
pub(crate) fn save(disk: &Disk, file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut out = io::BufWriter::new(tempfile::NamedTempFile::new_in(folder)?);
    writeln!(out, "{HEADER}")?;
    for (path, node) in disk.nodes() {
        let kind = match &node.kind {
            Kind::Directory => LineKind::Directory,
            Kind::File(data) => LineKind::File { size: data.len() },
            Kind::Symlink(target) => LineKind::Symlink { target: target.clone() },
        };
        let line = Line {
            path: path.to_owned(),
            mode: node.mode,
            owner: node.owner.clone(),
            group: node.group.clone(),
            mtime: node.mtime,
            kind,
        };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
        if let Kind::File(data) = &node.kind {
            out.write_all(data)?;
            out.write_all(b"\n")?;
        }
    }
    let temporary = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}

pub(crate) fn load(file: &Path) -> io::Result<Disk> {
    let damaged = |what: &str| Error::new(ErrorKind::InvalidData, format!("{}: {what}", file.display()));
    let mut input = BufReader::new(fs::File::open(file)?);
    let mut line = String::new();
    input.read_line(&mut line)?;
    if line.trim_end() != HEADER {
        return Err(damaged("not a simulated disk that this version reads"));
    }
    let mut disk = Disk::default();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(disk);
        }
        let node: Line = serde_json::from_str(&line).map_err(|error| damaged(&error.to_string()))?;
        let kind = match node.kind {
            LineKind::Directory => Kind::Directory,
            LineKind::Symlink { target } => Kind::Symlink(target),
            LineKind::File { size } => {
                let mut data = Vec::new();
                input.by_ref().take(size as u64 + 1).read_to_end(&mut data)?;
                if data.len() != size + 1 {
                    return Err(damaged("ends in the middle of a file"));
                }
                data.pop();
                Kind::File(Arc::new(data))
            }
        };
        let parts = Node { kind, mode: node.mode, owner: node.owner, group: node.group, mtime: node.mtime };
        disk.insert(node.path, parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk");
        let mut disk = Disk::default();
        disk.mkdir_all("/opt/app").unwrap();
        disk.write("/opt/app/binary", &[0, 10, 255, 10]).unwrap();
        disk.update("/opt/app/binary", |node| node.mode = 0o750).unwrap();
        disk.symlink("app", "/opt/link").unwrap();
        save(&disk, &file).unwrap();
        let again = load(&file).unwrap();
        assert_eq!(disk.nodes().collect::<Vec<_>>(), again.nodes().collect::<Vec<_>>());
        assert_eq!(again.used(), 4);
    }

    #[test]
    fn version_one_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk");
        let text = "remint simulated disk 1\n\
            {\"path\":\"/\",\"mode\":493,\"owner\":\"root\",\"group\":\"root\",\"mtime\":1,\"kind\":\"directory\"}\n\
            {\"path\":\"/a\",\"mode\":420,\"owner\":\"app\",\"group\":\"app\",\"mtime\":2,\"kind\":\"file\",\"size\":3}\nx\ny\n";
        fs::write(&file, text).unwrap();
        let disk = load(&file).unwrap();
        assert_eq!(disk.text("/a"), "x\ny");
        assert_eq!(disk.get("/a").unwrap().owner, "app");
    }

    #[test]
    fn a_cut_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk");
        let mut disk = Disk::default();
        disk.write("/a", b"hello").unwrap();
        save(&disk, &file).unwrap();
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
        assert!(load(&file).unwrap_err().to_string().contains("ends in the middle"));
        fs::write(&file, "something else").unwrap();
        assert!(load(&file).is_err());
    }
}
