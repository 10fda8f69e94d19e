//! SFTP over the virtual disk.

use std::{collections::HashMap, sync::Arc};

use russh_sftp::{
    protocol::{Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode},
    server::Handler,
};

use crate::simulated::{
    disk::{Accounts, Disk, DiskError, Kind, Node, absolute, join, lock},
    machine::Machine,
};

/// The most that one read answers, as OpenSSH has it.
const READ: u64 = 256 * 1024;

/// One client's files.
pub(super) struct Sftp {
    machine: Arc<Machine>,
    open: HashMap<String, Open>,
    count: u64,
}

enum Open {
    File { path: String, append: bool },
    Folder { entries: Option<Vec<File>> },
}

impl Sftp {
    /// Serves a machine's disk.
    pub(super) fn new(machine: Arc<Machine>) -> Self {
        Self { machine, open: HashMap::new(), count: 0 }
    }

    fn keep(&mut self, id: u32, open: Open) -> Handle {
        self.count += 1;
        let handle = self.count.to_string();
        self.open.insert(handle.clone(), open);
        Handle { id, handle }
    }

    fn file(&self, handle: &str) -> Result<(String, bool), StatusCode> {
        match self.open.get(handle) {
            Some(Open::File { path, append }) => Ok((path.clone(), *append)),
            _ => Err(StatusCode::Failure),
        }
    }

    /// Changes the disk, and keeps it.
    async fn change(
        &self,
        id: u32,
        change: impl FnOnce(&mut Disk) -> Result<(), DiskError>,
    ) -> Result<Status, StatusCode> {
        change(&mut lock(self.machine.disk())).map_err(code)?;
        self.settle(id).await
    }

    /// Keeps the disk, so that what the client was told is done survives the sandbox.
    async fn settle(&self, id: u32) -> Result<Status, StatusCode> {
        self.machine.save().await.map_err(|_| StatusCode::Failure)?;
        Ok(done(id))
    }
}

fn code(error: DiskError) -> StatusCode {
    if error == DiskError::NotFound { StatusCode::NoSuchFile } else { StatusCode::Failure }
}

fn done(id: u32) -> Status {
    Status { id, status_code: StatusCode::Ok, error_message: "Ok".to_owned(), language_tag: "en-US".to_owned() }
}

fn attributes(disk: &Disk, node: &Node) -> FileAttributes {
    let kind = match node.kind {
        Kind::Directory => 0o040_000,
        Kind::File(_) => 0o100_000,
        Kind::Symlink(_) => 0o120_000,
    };
    let number = |accounts: Accounts, name: &str| u32::try_from(accounts.number(disk, name)).ok();
    FileAttributes {
        size: Some(node.size()),
        uid: number(Accounts::Users, &node.owner),
        gid: number(Accounts::Groups, &node.group),
        permissions: Some(kind | node.mode),
        atime: Some(node.mtime as u32),
        mtime: Some(node.mtime as u32),
        ..FileAttributes::empty()
    }
}

fn full(path: &str) -> String {
    absolute("/root", path)
}

impl Handler for Sftp {
    type Error = StatusCode;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported
    }

    async fn open(
        &mut self,
        id: u32,
        name: String,
        flags: OpenFlags,
        attrs: FileAttributes,
    ) -> Result<Handle, StatusCode> {
        let path = full(&name);
        {
            let mut disk = lock(self.machine.disk());
            let there = disk.exists(&path);
            if there && (disk.is_dir(&path) || flags.contains(OpenFlags::EXCLUDE)) {
                return Err(StatusCode::Failure);
            }
            if !there && !flags.contains(OpenFlags::CREATE) {
                return Err(StatusCode::NoSuchFile);
            }
            if !there {
                disk.edit(&path, attrs.permissions.unwrap_or(0o644) & 0o7777, |_| {}).map_err(code)?;
            } else if flags.contains(OpenFlags::TRUNCATE) {
                disk.write(&path, b"").map_err(code)?;
            }
        }
        Ok(self.keep(id, Open::File { path, append: flags.contains(OpenFlags::APPEND) }))
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusCode> {
        self.open.remove(&handle).ok_or(StatusCode::Failure)?;
        self.settle(id).await
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Result<Data, StatusCode> {
        let (path, _) = self.file(&handle)?;
        let data = lock(self.machine.disk()).read(&path).map_err(code)?;
        let start = offset.min(data.len() as u64);
        let end = (start + READ.min(len.into())).min(data.len() as u64);
        if start == end {
            return Err(StatusCode::Eof);
        }
        Ok(Data { id, data: data[start as usize..end as usize].to_vec() })
    }

    async fn write(&mut self, id: u32, handle: String, offset: u64, data: Vec<u8>) -> Result<Status, StatusCode> {
        let (path, append) = self.file(&handle)?;
        let mut disk = lock(self.machine.disk());
        if append { disk.append(&path, &data) } else { disk.write_at(&path, offset, &data) }.map_err(code)?;
        Ok(done(id))
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        let disk = lock(self.machine.disk());
        Ok(Attrs { id, attrs: attributes(&disk, disk.get_link(&full(&path)).map_err(code)?) })
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        let disk = lock(self.machine.disk());
        Ok(Attrs { id, attrs: attributes(&disk, disk.get(&full(&path)).map_err(code)?) })
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, StatusCode> {
        let (path, _) = self.file(&handle)?;
        self.stat(id, path).await
    }

    async fn setstat(&mut self, id: u32, path: String, attrs: FileAttributes) -> Result<Status, StatusCode> {
        let path = full(&path);
        let set = |disk: &mut Disk| {
            attrs.size.map_or(Ok(()), |size| disk.truncate(&path, size))?;
            let user = attrs.uid.map(|id| Accounts::Users.name(disk, id.into()));
            let group = attrs.gid.map(|id| Accounts::Groups.name(disk, id.into()));
            disk.update(&path, |node| {
                node.mode = attrs.permissions.map_or(node.mode, |mode| mode & 0o7777);
                node.give(user.as_deref(), group.as_deref());
                node.mtime = attrs.mtime.map_or(node.mtime, u64::from);
            })
        };
        self.change(id, set).await
    }

    async fn fsetstat(&mut self, id: u32, handle: String, attrs: FileAttributes) -> Result<Status, StatusCode> {
        let (path, _) = self.file(&handle)?;
        self.setstat(id, path, attrs).await
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, StatusCode> {
        let path = full(&path);
        let entries = {
            let disk = lock(self.machine.disk());
            let names = disk.list(&path).map_err(code)?;
            let node = |name: &String| {
                disk.get_link(&join(&path, name)).map(|node| attributes(&disk, node)).unwrap_or_default()
            };
            names.iter().map(|name| File::new(name.clone(), node(name))).collect()
        };
        Ok(self.keep(id, Open::Folder { entries: Some(entries) }))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, StatusCode> {
        match self.open.get_mut(&handle) {
            Some(Open::Folder { entries }) => {
                let files = entries.take().filter(|files| !files.is_empty()).ok_or(StatusCode::Eof)?;
                Ok(Name { id, files })
            }
            _ => Err(StatusCode::Failure),
        }
    }

    async fn remove(&mut self, id: u32, path: String) -> Result<Status, StatusCode> {
        self.change(id, |disk| disk.unlink(&full(&path))).await
    }

    async fn mkdir(&mut self, id: u32, path: String, attrs: FileAttributes) -> Result<Status, StatusCode> {
        let mode = attrs.permissions.unwrap_or(0o755) & 0o7777;
        self.change(id, |disk| disk.mkdir(&full(&path), mode)).await
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Result<Status, StatusCode> {
        self.change(id, |disk| disk.rmdir(&full(&path))).await
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Result<Status, StatusCode> {
        self.change(id, |disk| disk.rename(&full(&from), &full(&to))).await
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, StatusCode> {
        let path = full(&path);
        let path = lock(self.machine.disk()).resolve(&path, true).unwrap_or(path);
        Ok(Name { id, files: vec![File::dummy(path)] })
    }

    async fn readlink(&mut self, id: u32, path: String) -> Result<Name, StatusCode> {
        match &lock(self.machine.disk()).get_link(&full(&path)).map_err(code)?.kind {
            Kind::Symlink(target) => Ok(Name { id, files: vec![File::dummy(target.clone())] }),
            _ => Err(StatusCode::Failure),
        }
    }

    /// OpenSSH's clients and servers send the target first, other than the draft has it.
    async fn symlink(&mut self, id: u32, target: String, link: String) -> Result<Status, StatusCode> {
        self.change(id, |disk| disk.symlink(&target, &full(&link))).await
    }
}
