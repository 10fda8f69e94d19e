//! The tree itself: a sorted map from absolute paths to nodes.
//!
//! A flat map makes a copy of a disk (a capture) a clone of shared file contents, and a listing a range; renaming a
//! folder is the one operation that pays for it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::path::{absolute, join, parent};

/// What all files of one disk may hold together: a script that writes for ever meets a full disk, not a dead sandbox.
const CAPACITY: u64 = 512 * 1024 * 1024;

/// How many entries one disk may have, for the same reason.
const ENTRIES: usize = 200_000;

/// What the names of one disk may take together: paths, owners, and where links lead.
const NAMES: u64 = 64 * 1024 * 1024;

/// How long the name of an owner or a group may be.
const OWNER: usize = 64;

/// How long a path may be, as Linux has it.
const PATH: usize = 4096;

/// How many symbolic links are followed for one path, as Linux has it.
const LINKS: usize = 40;

/// Why the disk refuses; the words are the C library's, since commands print them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiskError {
    /// ENOENT.
    #[error("No such file or directory")]
    NotFound,
    /// EEXIST.
    #[error("File exists")]
    Exists,
    /// EISDIR.
    #[error("Is a directory")]
    IsDirectory,
    /// ENOTDIR.
    #[error("Not a directory")]
    NotDirectory,
    /// ENOTEMPTY.
    #[error("Directory not empty")]
    NotEmpty,
    /// ELOOP.
    #[error("Too many levels of symbolic links")]
    Loop,
    /// ENAMETOOLONG.
    #[error("File name too long")]
    TooLong,
    /// ENOSPC.
    #[error("No space left on device")]
    Full,
    /// EINVAL.
    #[error("Invalid argument")]
    Invalid,
}

type Result<T, E = DiskError> = std::result::Result<T, E>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A folder.
    Directory,
    /// A file; the contents are shared between a disk and its captures until one of them changes.
    File(Arc<Vec<u8>>),
    /// A symbolic link.
    Symlink(String),
}

/// A file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// The permission bits.
    pub(crate) mode: u32,
    /// The owner's name.
    pub(crate) owner: String,
    /// The group's name.
    pub(crate) group: String,
    /// When it changed last, in seconds since 1970.
    pub(crate) mtime: u64,
}

impl Node {
    /// A node of root's, changed now.
    pub(crate) fn new(kind: Kind, mode: u32) -> Self {
        Self { kind, mode, owner: "root".to_owned(), group: "root".to_owned(), mtime: now() }
    }

    /// Whether it is a folder.
    pub(crate) fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }

    /// Gives it to a user and a group, as far as they are named.
    pub(crate) fn give(&mut self, user: Option<&str>, group: Option<&str>) {
        if let Some(user) = user {
            user.clone_into(&mut self.owner);
        }
        if let Some(group) = group {
            group.clone_into(&mut self.group);
        }
    }

    /// What its names take, the path included.
    fn named(&self, path: &str) -> u64 {
        let target = if let Kind::Symlink(target) = &self.kind { target.len() } else { 0 };
        (path.len() + target + self.owner.len() + self.group.len()) as u64
    }

    /// The size as `stat` tells it.
    pub(crate) fn size(&self) -> u64 {
        match &self.kind {
            Kind::Directory => 4096,
            Kind::File(data) => data.len() as u64,
            Kind::Symlink(target) => target.len() as u64,
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A disk. All paths are absolute; see [`absolute`].
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    nodes: BTreeMap<String, Node>,
    version: u64,
    used: u64,
    /// What its names take.
    named: u64,
}

impl Default for Disk {
    fn default() -> Self {
        let nodes = BTreeMap::from([("/".to_owned(), Node::new(Kind::Directory, 0o755))]);
        Self { nodes, version: 0, used: 0, named: 0 }
    }
}

impl Disk {
    /// Goes up with every change, so that an unchanged disk need not be written again.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// What its files hold, in bytes.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// All nodes in the order of their paths.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Puts a node as it is, for loading. Its folder comes first, since paths are sorted.
    pub(crate) fn insert(&mut self, path: String, node: Node) {
        if let Kind::File(data) = &node.kind {
            self.used += data.len() as u64;
        }
        self.named += node.named(&path);
        self.nodes.insert(path, node);
    }

    /// The path that is meant after all links; `follow` says whether the last part is followed too. The last part need
    /// not exist, its folder must.
    pub(crate) fn resolve(&self, path: &str, follow: bool) -> Result<String> {
        if path.len() > PATH {
            return Err(DiskError::TooLong);
        }
        let mut links = 0;
        let mut rest: Vec<String> = absolute("/", path).split('/').rev().map(str::to_owned).collect();
        let mut at = "/".to_owned();
        while let Some(part) = rest.pop() {
            if part.is_empty() {
                continue;
            }
            let next = join(&at, &part);
            let last = rest.iter().all(String::is_empty);
            match self.nodes.get(&next).map(|node| &node.kind) {
                None if last => return Ok(next),
                None => return Err(DiskError::NotFound),
                Some(Kind::Symlink(target)) if !last || follow => {
                    links += 1;
                    if links > LINKS {
                        return Err(DiskError::Loop);
                    }
                    let target = absolute(&at, target);
                    rest.extend(target.split('/').rev().map(str::to_owned));
                    at = "/".to_owned();
                }
                Some(Kind::File(_)) if !last => return Err(DiskError::NotDirectory),
                Some(_) => at = next,
            }
        }
        Ok(at)
    }

    /// The node at a path, links followed.
    pub(crate) fn get(&self, path: &str) -> Result<&Node> {
        self.nodes.get(&self.resolve(path, true)?).ok_or(DiskError::NotFound)
    }

    /// The node at a path; a link is the link itself.
    pub(crate) fn get_link(&self, path: &str) -> Result<&Node> {
        self.nodes.get(&self.resolve(path, false)?).ok_or(DiskError::NotFound)
    }

    /// Changes what is known of a node, links followed.
    pub(crate) fn update(&mut self, path: &str, change: impl FnOnce(&mut Node)) -> Result<()> {
        let path = self.resolve(path, true)?;
        self.change(path, change)
    }

    /// Changes what is known of a node; a link is the link itself.
    pub(crate) fn update_link(&mut self, path: &str, change: impl FnOnce(&mut Node)) -> Result<()> {
        let path = self.resolve(path, false)?;
        self.change(path, change)
    }

    fn change(&mut self, path: String, change: impl FnOnce(&mut Node)) -> Result<()> {
        let node = self.nodes.get_mut(&path).ok_or(DiskError::NotFound)?;
        let mut changed = node.clone();
        change(&mut changed);
        if changed.owner.len() > OWNER || changed.group.len() > OWNER {
            return Err(DiskError::Invalid);
        }
        self.named = (self.named + changed.named(&path)).saturating_sub(node.named(&path));
        *node = changed;
        self.version += 1;
        Ok(())
    }

    /// Whether something is there.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.get(path).is_ok()
    }

    /// Whether a folder is there.
    pub(crate) fn is_dir(&self, path: &str) -> bool {
        self.get(path).is_ok_and(Node::is_dir)
    }

    /// A file's contents.
    pub(crate) fn read(&self, path: &str) -> Result<Arc<Vec<u8>>> {
        match &self.get(path)?.kind {
            Kind::File(data) => Ok(data.clone()),
            _ => Err(DiskError::IsDirectory),
        }
    }

    /// A file's contents as text; empty if there is none.
    pub(crate) fn text(&self, path: &str) -> String {
        self.read(path).map(|data| String::from_utf8_lossy(&data).into_owned()).unwrap_or_default()
    }

    /// The names in a folder, sorted.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<String>> {
        let folder = self.resolve(path, true)?;
        if !self.nodes.get(&folder).ok_or(DiskError::NotFound)?.is_dir() {
            return Err(DiskError::NotDirectory);
        }
        let prefix = join(&folder, "");
        let names = self.below(&prefix).map(|path| path[prefix.len()..].to_owned());
        Ok(names.filter(|name| !name.is_empty() && !name.contains('/')).collect())
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a String> {
        self.nodes.range(prefix.to_owned()..).map(|(path, _)| path).take_while(move |path| path.starts_with(prefix))
    }

    /// Changes a file's contents by `change`; makes the file with `mode` if it is not there.
    pub(crate) fn edit(&mut self, path: &str, mode: u32, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let path = self.resolve(path, true)?;
        if !self.nodes.contains_key(&path) {
            self.put(path.clone(), Node::new(Kind::File(Arc::default()), mode))?;
        }
        let node = self.nodes.get_mut(&path).ok_or(DiskError::NotFound)?;
        let Kind::File(data) = &mut node.kind else { return Err(DiskError::IsDirectory) };
        let before = data.len() as u64;
        change(Arc::make_mut(data));
        self.used = self.used - before + data.len() as u64;
        node.mtime = now();
        self.version += 1;
        Ok(())
    }

    /// Writes a file anew; one that is there keeps its mode and owner.
    pub(crate) fn write(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let before = self.read(path).map_or(0, |data| data.len()) as u64;
        self.room(bytes.len() as u64, before)?;
        self.edit(path, 0o644, |data| {
            data.clear();
            data.extend_from_slice(bytes);
        })
    }

    /// Writes at the end of a file.
    pub(crate) fn append(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.room(bytes.len() as u64, 0)?;
        self.edit(path, 0o644, |data| data.extend_from_slice(bytes))
    }

    /// Writes at an offset; a gap is filled with zeros.
    pub(crate) fn write_at(&mut self, path: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(DiskError::Full)?;
        let before = self.read(path)?.len() as u64;
        self.room(end.max(before), before)?;
        self.edit(path, 0o644, |data| {
            let (start, end) = (offset as usize, end as usize);
            if data.len() < end {
                data.resize(end, 0);
            }
            data[start..end].copy_from_slice(bytes);
        })
    }

    /// Cuts or lengthens a file.
    pub(crate) fn truncate(&mut self, path: &str, size: u64) -> Result<()> {
        let before = self.read(path).map_or(0, |data| data.len()) as u64;
        self.room(size, before)?;
        self.edit(path, 0o644, |data| data.resize(size as usize, 0))
    }

    /// Whether there is room for so many bytes more.
    pub(crate) fn fits(&self, more: u64) -> bool {
        self.room(more, 0).is_ok()
    }

    fn room(&self, more: u64, less: u64) -> Result<()> {
        let after = (self.used - less.min(self.used)).saturating_add(more);
        if after > CAPACITY { Err(DiskError::Full) } else { Ok(()) }
    }

    fn put(&mut self, path: String, node: Node) -> Result<()> {
        if !self.nodes.get(parent(&path)).ok_or(DiskError::NotFound)?.is_dir() {
            return Err(DiskError::NotDirectory);
        }
        self.entry(&path, &node)?;
        self.named += node.named(&path);
        self.nodes.insert(path, node);
        self.version += 1;
        Ok(())
    }

    /// Whether there is room for one more entry.
    fn entry(&self, path: &str, node: &Node) -> Result<()> {
        if path.len() > PATH {
            return Err(DiskError::TooLong);
        }
        let full = self.nodes.len() >= ENTRIES || self.named + node.named(path) > NAMES;
        if full { Err(DiskError::Full) } else { Ok(()) }
    }

    /// Makes a folder.
    pub(crate) fn mkdir(&mut self, path: &str, mode: u32) -> Result<()> {
        let path = self.resolve(path, false)?;
        if self.nodes.contains_key(&path) {
            return Err(DiskError::Exists);
        }
        self.put(path, Node::new(Kind::Directory, mode))
    }

    /// Makes a folder and those above it; one that is there is left alone.
    pub(crate) fn mkdir_all(&mut self, path: &str) -> Result<()> {
        let path = absolute("/", path);
        let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            match self.get(&path[..end]) {
                Ok(node) if node.is_dir() => {}
                Ok(_) => return Err(DiskError::NotDirectory),
                Err(DiskError::NotFound) => self.mkdir(&path[..end], 0o755)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes a symbolic link.
    pub(crate) fn symlink(&mut self, target: &str, link: &str) -> Result<()> {
        let link = self.resolve(link, false)?;
        if self.nodes.contains_key(&link) {
            return Err(DiskError::Exists);
        }
        self.put(link, Node::new(Kind::Symlink(target.to_owned()), 0o777))
    }

    fn take(&mut self, path: &str) -> Option<Node> {
        let node = self.nodes.remove(path)?;
        if let Kind::File(data) = &node.kind {
            self.used -= data.len() as u64;
        }
        self.named = self.named.saturating_sub(node.named(path));
        self.version += 1;
        Some(node)
    }

    /// Removes a file or link.
    pub(crate) fn unlink(&mut self, path: &str) -> Result<()> {
        let path = self.resolve(path, false)?;
        if self.nodes.get(&path).ok_or(DiskError::NotFound)?.is_dir() {
            return Err(DiskError::IsDirectory);
        }
        self.take(&path);
        Ok(())
    }

    /// Removes an empty folder.
    pub(crate) fn rmdir(&mut self, path: &str) -> Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(DiskError::NotEmpty);
        }
        let path = self.resolve(path, false)?;
        self.take(&path);
        Ok(())
    }

    /// Removes a node with all below it; the root folder itself stays.
    pub(crate) fn remove_tree(&mut self, path: &str) -> Result<()> {
        let path = self.resolve(path, false)?;
        if !self.nodes.contains_key(&path) {
            return Err(DiskError::NotFound);
        }
        let prefix = join(&path, "");
        let below: Vec<String> = self.below(&prefix).filter(|path| *path != "/").cloned().collect();
        for path in below {
            self.take(&path);
        }
        if path != "/" {
            self.take(&path);
        }
        Ok(())
    }

    /// Moves a node with all below it; a file that is there is replaced.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        self.transfer(from, to, true)
    }

    /// Copies a node with all below it.
    pub(crate) fn copy(&mut self, from: &str, to: &str) -> Result<()> {
        self.transfer(from, to, false)
    }

    fn transfer(&mut self, from: &str, to: &str, cut: bool) -> Result<()> {
        let (from, to) = (self.resolve(from, false)?, self.resolve(to, false)?);
        let root = self.nodes.get(&from).ok_or(DiskError::NotFound)?;
        if from == to {
            return Ok(());
        }
        let prefix = join(&from, "");
        if from == "/" || to.starts_with(&prefix) {
            return Err(DiskError::Invalid);
        }
        match self.nodes.get(&to).map(Node::is_dir) {
            Some(true) if !root.is_dir() => return Err(DiskError::IsDirectory),
            Some(true) if cut => self.rmdir(&to)?,
            Some(false) if self.nodes.get(&from).is_some_and(Node::is_dir) => return Err(DiskError::NotDirectory),
            _ => {}
        }
        if !self.is_dir(parent(&to)) {
            return Err(DiskError::NotFound);
        }
        let paths: Vec<String> = std::iter::once(from.clone()).chain(self.below(&prefix).cloned()).collect();
        for path in paths {
            let target = format!("{to}{}", &path[from.len()..]);
            let node = if cut { self.take(&path) } else { self.nodes.get(&path).cloned() };
            let Some(node) = node else { continue };
            if !cut {
                self.room(node.size(), 0)?;
                self.entry(&target, &node)?;
            }
            self.take(&target);
            self.insert(target, node);
        }
        self.version += 1;
        Ok(())
    }
}
