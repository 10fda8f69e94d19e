//! A small volume in the ISO 9660 format (ECMA-119): a few files in the root folder, no extensions.
//!
//! Written by hand because no crate of that purpose is kept up, and an external program would be one more Debian package.
//! Linux shows the names in lower case and without the version, which gives `user-data` for `USER-DATA.;1`; the hyphen is
//! outside the standard's letters, as in every other cloud-init seed.

/// The size of a sector, in bytes.
const SECTOR: usize = 2048;

/// The first sectors are the system's.
const PRIMARY: u32 = 16;
const TERMINATOR: u32 = 17;
const PATHS_LITTLE: u32 = 18;
const PATHS_BIG: u32 = 19;
const ROOT: u32 = 20;
const FILES: u32 = 21;

/// Writes a volume with these files, at least `least` bytes large. Names are given as Linux shows them; the root folder has
/// room for about forty.
pub(super) fn volume(label: &str, files: &[(&str, &[u8])], least: usize) -> Vec<u8> {
    let mut placed = Vec::new();
    let mut next = FILES;
    for (name, data) in files {
        placed.push((format!("{}.;1", name.to_ascii_uppercase()), next, *data));
        next += sectors(data.len());
    }
    // The standard wants a folder's entries in the order of their names.
    placed.sort();
    let total = next.max(sectors(least));

    let mut image = vec![0; total as usize * SECTOR];
    let mut root = entry(&[0], ROOT, SECTOR, true);
    root.extend(entry(&[1], ROOT, SECTOR, true));
    for (name, at, data) in &placed {
        root.extend(entry(name.as_bytes(), *at, data.len(), false));
        put(&mut image, *at, 0, data);
    }
    put(&mut image, ROOT, 0, &root);

    let mut path = vec![1, 0];
    path.extend(ROOT.to_le_bytes());
    path.extend(1_u16.to_le_bytes());
    path.extend([0, 0]);
    put(&mut image, PATHS_LITTLE, 0, &path);
    path[2..6].copy_from_slice(&ROOT.to_be_bytes());
    path[6..8].copy_from_slice(&1_u16.to_be_bytes());
    put(&mut image, PATHS_BIG, 0, &path);

    put(&mut image, PRIMARY, 0, &primary(label, total, path.len()));
    put(&mut image, TERMINATOR, 0, b"\xffCD001\x01");
    image
}

/// The primary volume descriptor, ECMA-119 8.4.
fn primary(label: &str, total: u32, path_table: usize) -> Vec<u8> {
    let mut block = vec![0; SECTOR];
    block[..7].copy_from_slice(b"\x01CD001\x01");
    for text in [8..72, 190..813] {
        block[text].fill(b' ');
    }
    block[40..40 + label.len()].copy_from_slice(label.as_bytes());
    block[80..88].copy_from_slice(&both(total));
    block[120..124].copy_from_slice(&both_16(1));
    block[124..128].copy_from_slice(&both_16(1));
    block[128..132].copy_from_slice(&both_16(SECTOR as u16));
    block[132..140].copy_from_slice(&both(path_table as u32));
    block[140..144].copy_from_slice(&PATHS_LITTLE.to_le_bytes());
    block[148..152].copy_from_slice(&PATHS_BIG.to_be_bytes());
    block[156..190].copy_from_slice(&entry(&[0], ROOT, SECTOR, true));
    for date in [813, 830, 847, 864] {
        block[date..date + 16].fill(b'0');
    }
    block[881] = 1;
    block
}

/// A folder's entry, ECMA-119 9.1. The date is left out: nothing reads it.
fn entry(name: &[u8], at: u32, size: usize, folder: bool) -> Vec<u8> {
    let length = 33 + name.len() + (name.len() + 1) % 2;
    let mut entry = vec![0; length];
    entry[0] = length as u8;
    entry[2..10].copy_from_slice(&both(at));
    entry[10..18].copy_from_slice(&both(size as u32));
    entry[25] = if folder { 2 } else { 0 };
    entry[28..32].copy_from_slice(&both_16(1));
    entry[32] = name.len() as u8;
    entry[33..33 + name.len()].copy_from_slice(name);
    entry
}

/// A number in both byte orders.
fn both(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn both_16(number: u16) -> [u8; 4] {
    let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
    [little[0], little[1], big[0], big[1]]
}

fn sectors(bytes: usize) -> u32 {
    bytes.div_ceil(SECTOR) as u32
}

fn put(image: &mut [u8], sector: u32, offset: usize, bytes: &[u8]) {
    let start = sector as usize * SECTOR + offset;
    image[start..start + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file of the root folder back, as a driver does: from the primary descriptor on.
    fn read<'a>(image: &'a [u8], name: &str) -> Option<&'a [u8]> {
        let number = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
        let primary = PRIMARY as usize * SECTOR;
        assert_eq!(&image[primary..primary + 6], b"\x01CD001");
        let mut at = number(primary + 156 + 2) * SECTOR;
        while image[at] != 0 {
            let length = image[at + 32] as usize;
            if image[at + 33..at + 33 + length] == *name.as_bytes() {
                let start = number(at + 2) * SECTOR;
                return Some(&image[start..start + number(at + 10)]);
            }
            at += image[at] as usize;
        }
        None
    }

    #[test]
    fn files_are_found_from_the_descriptor() {
        let large = vec![b'x'; 5000];
        let image = volume("CIDATA", &[("user-data", &large), ("meta-data", b"{}")], 0);
        assert_eq!(read(&image, "USER-DATA.;1"), Some(large.as_slice()));
        assert_eq!(read(&image, "META-DATA.;1"), Some(b"{}".as_slice()));
        assert_eq!(read(&image, "OTHER.;1"), None);
        assert_eq!(image.len() % SECTOR, 0);
        assert_eq!(&image[PRIMARY as usize * SECTOR + 40..][..7], b"CIDATA ");
    }

    #[test]
    fn a_volume_is_filled_up_to_its_least_size() {
        assert_eq!(volume("CIDATA", &[("a", b"1")], 1 << 20).len(), 1 << 20);
    }
}
