//! Which file of a crate uses which, as its paths say. A name that a module only hands on belongs to the file that defines it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    Attribute, Item, UseTree, Visibility,
    visit::{self, Visit},
};

/// A path of segments from the crate's root on.
type Segments = Vec<String>;

/// The file that is used, and the names that are used of it.
pub(crate) type Uses = BTreeMap<String, BTreeSet<String>>;

#[derive(Default)]
struct Module {
    file: String,
    /// What it hands on: a name, and what it is the name of. `*` stands for a glob.
    handed: Vec<(String, Segments)>,
    defined: BTreeSet<String>,
    /// What it names, as written.
    named: Vec<Segments>,
}

pub(crate) struct House {
    modules: BTreeMap<Segments, Module>,
}

impl House {
    /// Reads the files of a crate's `src`. What only tests have is left out.
    pub(crate) fn read(src: &Path) -> Self {
        let mut house = Self { modules: BTreeMap::new() };
        house.file(src, src, &src.join("lib.rs"), Vec::new());
        house
    }

    fn file(&mut self, src: &Path, folder: &Path, path: &Path, at: Segments) {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(src).unwrap().display().to_string();
        self.items(src, folder, &name, at, &file.items);
    }

    fn items(&mut self, src: &Path, folder: &Path, file: &str, at: Segments, items: &[Item]) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
            match item {
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let below = [at.clone(), vec![name.clone()]].concat();
                    match &inner.content {
                        Some((_, items)) => self.items(src, &folder.join(&name), file, below, items),
                        None => {
                            let (flat, deep) = (folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs"));
                            let path = if flat.exists() { flat } else { deep };
                            // One with a `#[path]` is elsewhere.
                            if path.exists() {
                                self.file(src, &folder.join(&name), &path, below);
                            }
                        }
                    }
                }
                Item::Use(item) => {
                    // What is handed on is used by those who take it.
                    let keeps = matches!(item.vis, Visibility::Inherited);
                    for (name, path) in flatten(&item.tree, &[]) {
                        if keeps {
                            module.named.push(path.clone());
                        }
                        module.handed.push((name, path));
                    }
                }
                item => {
                    module.defined.extend(defined(item));
                    let mut paths = Paths(&mut module.named);
                    paths.visit_item(item);
                }
            }
        }
        self.modules.insert(at, module);
    }

    /// Which file uses which.
    pub(crate) fn uses(&self) -> BTreeMap<String, Uses> {
        let mut all: BTreeMap<String, Uses> = BTreeMap::new();
        for (at, module) in &self.modules {
            let uses = all.entry(module.file.clone()).or_default();
            for path in &module.named {
                let Some((owner, name)) = self.owner(at, path, 0) else { continue };
                let file = &self.modules[&owner].file;
                if *file != module.file {
                    uses.entry(file.clone()).or_default().insert(name);
                }
            }
        }
        all
    }

    /// The module that a path leads to, and the name in it.
    fn owner(&self, at: &[String], path: &[String], depth: usize) -> Option<(Segments, String)> {
        // Two modules may hand on the same name to each other.
        if depth > 8 {
            return None;
        }
        let mut here = at.to_vec();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                here.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|step| step == "super") {
                    here.pop()?;
                    rest = &rest[1..];
                }
            }
            // A child, or what a `use` has brought here.
            first => {
                let child = [at, &[first.to_owned()]].concat();
                if !self.modules.contains_key(&child) {
                    let module = self.modules.get(at)?;
                    let (_, whole) = module.handed.iter().find(|(name, _)| name == first)?;
                    if path.len() == 1 || whole.as_slice() == path {
                        return None;
                    }
                    return self.owner(at, &[whole.as_slice(), &path[1..]].concat(), depth + 1);
                }
            }
        }
        while let Some(next) = rest.first() {
            let child = [here.as_slice(), std::slice::from_ref(next)].concat();
            if self.modules.contains_key(&child) {
                here = child;
                rest = &rest[1..];
                continue;
            }
            let module = self.modules.get(&here)?;
            if module.defined.contains(next) || next == "*" {
                return Some((here, next.clone()));
            }
            let named = module.handed.iter().find(|(name, _)| name == next).map(|(_, whole)| whole.clone());
            let whole = named.or_else(|| {
                let globs = module.handed.iter().filter(|(name, _)| name == "*");
                let mut within =
                    globs.map(|(_, whole)| [&whole[..whole.len() - 1], std::slice::from_ref(next)].concat());
                within.find(|whole| {
                    let found = self.owner(&here, whole, depth + 1);
                    found.is_some_and(|(owner, name)| self.modules[&owner].defined.contains(&name))
                })
            })?;
            return self.owner(&here, &[whole.as_slice(), &rest[1..]].concat(), depth + 1);
        }
        let name = here.last().cloned().unwrap_or_default();
        Some((here, name))
    }

    /// Files that use each other in a circle, as the ways between them.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let uses = self.uses();
        let reached = |from: &str| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(file) = open.pop() {
                for next in uses.get(&file).into_iter().flat_map(BTreeMap::keys) {
                    if seen.insert(next.clone()) {
                        open.push(next.clone());
                    }
                }
            }
            seen
        };
        let reach: BTreeMap<&String, BTreeSet<String>> = uses.keys().map(|file| (file, reached(file))).collect();
        let mut done = BTreeSet::new();
        let mut circles = Vec::new();
        for (file, others) in &reach {
            if !others.contains(*file) || !done.insert((*file).clone()) {
                continue;
            }
            let circle: BTreeSet<&String> =
                others.iter().filter(|other| reach.get(other).is_some_and(|back| back.contains(*file))).collect();
            done.extend(circle.iter().map(|file| (*file).clone()));
            let ways = circle.iter().flat_map(|from| {
                let used = uses[*from].iter().filter(|(to, _)| circle.contains(to));
                used.map(move |(to, names)| {
                    format!("{from} -> {to}: {}", names.iter().cloned().collect::<Vec<_>>().join(", "))
                })
            });
            circles.push(ways.collect());
        }
        circles
    }
}

/// The paths in an item.
struct Paths<'a>(&'a mut Vec<Segments>);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    /// The path of `pub(in …)` names no use.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.0.extend(flatten(&item.tree, &[]).into_iter().map(|(_, path)| path));
    }
}

fn flatten(tree: &UseTree, before: &[String]) -> Vec<(String, Segments)> {
    let with = |name: &dyn ToString| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(&path.ident)),
        UseTree::Group(group) => group.items.iter().flat_map(|item| flatten(item, before)).collect(),
        UseTree::Name(name) if name.ident == "self" => {
            vec![(before.last().cloned().unwrap_or_default(), before.to_vec())]
        }
        UseTree::Name(name) => vec![(name.ident.to_string(), with(&name.ident))],
        UseTree::Rename(rename) if rename.ident == "self" => vec![(rename.rename.to_string(), before.to_vec())],
        UseTree::Rename(rename) => vec![(rename.rename.to_string(), with(&rename.ident))],
        UseTree::Glob(_) => vec![("*".to_owned(), with(&"*"))],
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|what| what.is_ident("test"))
    })
}

fn defined(item: &Item) -> Option<String> {
    Some(
        match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Macro(item) => item.ident.as_ref()?,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            _ => return None,
        }
        .to_string(),
    )
}
