//! [`Links`]: the links of the groups of an HDF5 file, which the HDF5 library follows only if they
//! are hard.
//!
//! ```text
//! hard       the address of an object's header     followed; it may have several names
//! soft       a path in the file                    followed, up to [`MOST_FOLLOWED`] from one name
//! external   another file, and a path in it        found and named, not followed
//! ```
//!
//! h5py follows all three, and tools that put files together use them: a soft link to a matrix that
//! two groups share, an external one to a file with the counts. An external one is refused by name,
//! since what it leads to may change or be missing wherever the file goes.
//!
//! Hard links can make a group a member of itself. [`Links::find`] sees it on the way to one
//! object, and [`Links::endless`] looks through the whole file before anything walks it.
//!
//! Groups are read once each and kept by their address: memory grows with the names that were
//! looked at.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io,
    path::Path,
    sync::Arc,
};

use crate::hdf5::{
    attribute::text_size,
    group::{Kind, Target as Link, kind},
    image::Image,
    root,
};

/// Soft links that may lead to one object.
const MOST_FOLLOWED: usize = 32;
/// Groups within groups.
const DEEPEST: usize = 64;
/// Names that may lead to one group.
const MOST_NAMES: usize = 100;

/// The groups of a file, each read when it is first looked at.
pub(super) struct Links {
    file: Image,
    /// Address of the root's header.
    root: u64,
    /// What was read so far, by address.
    known: HashMap<u64, Object>,
}

/// What is at an address.
#[derive(Clone)]
enum Object {
    Group(Arc<BTreeMap<String, Link>>),
    Dataset,
    Other,
}

/// What a path leads to.
pub(super) enum Found {
    /// An object of the file, and a path to it without soft links.
    Object {
        path: String,
        is_group: bool,
    },
    Nothing,
    /// A group that is one of those that contain it.
    Cycle,
    /// Another file, and a path in it.
    External {
        file: String,
        path: String,
    },
}

/// Why a path cannot be followed.
///
/// `Nothing` stands also for a soft link that leads nowhere or goes in circles.
enum Stop {
    Nothing,
    External { file: String, path: String },
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A path from the root: names, and the addresses of their objects.
type Trail = Vec<(String, u64)>;

impl Links {
    /// The links of a file; none if it is of a kind whose groups only the library reads.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let mut file = Image::find(File::open(path).ok()?).ok()??;
        let root = root(&mut file).ok()?;
        Some(Self { file, root, known: HashMap::new() })
    }

    /// What is at `address`, read when it is first asked for.
    fn object(&mut self, address: u64) -> io::Result<Object> {
        if let Some(object) = self.known.get(&address) {
            return Ok(object.clone());
        }
        let object = match kind(&mut self.file, address)? {
            Kind::Group(links) => Object::Group(Arc::new(links.into_iter().collect())),
            Kind::Dataset => Object::Dataset,
            Kind::Other => Object::Other,
        };
        self.known.insert(address, object.clone());
        Ok(object)
    }

    /// What is at `place`, a path from the root.
    ///
    /// # Errors
    /// If a header on the way is broken or of an unknown kind; then the library has to be asked.
    pub(super) fn find(&mut self, place: &str) -> io::Result<Found> {
        // Ancestors by the names asked for, through whatever links.
        let mut ancestors = vec![self.root];
        let mut trail: Trail = Vec::new();
        for name in place.split('/').filter(|name| !name.is_empty()) {
            match self.step(&mut trail, name, &mut 0) {
                Ok(()) => {}
                Err(Stop::Nothing) => return Ok(Found::Nothing),
                Err(Stop::External { file, path }) => return Ok(Found::External { file, path }),
                Err(Stop::Failed(error)) => return Err(error),
            }
            let address = trail.last().map_or(self.root, |(_, address)| *address);
            if ancestors.contains(&address) {
                return Ok(Found::Cycle);
            }
            ancestors.push(address);
        }
        let address = trail.last().map_or(self.root, |(_, address)| *address);
        let is_group = match self.object(address)? {
            Object::Group(_) => true,
            Object::Dataset => false,
            Object::Other => return Ok(Found::Nothing),
        };
        let names: Vec<String> = trail.into_iter().map(|(name, _)| name).collect();
        Ok(Found::Object { path: names.join("/"), is_group })
    }

    /// Appends to `trail` what `name` leads to in the group at its end.
    ///
    /// A soft link is replaced by the names of its target, from the root if that begins with a
    /// slash. `..` has no meaning in HDF5, and is a name like any other. `followed` counts soft
    /// links on the way.
    fn step(&mut self, trail: &mut Trail, name: &str, followed: &mut usize) -> Result<(), Stop> {
        let address = trail.last().map_or(self.root, |(_, address)| *address);
        let Object::Group(links) = self.object(address)? else {
            return Err(Stop::Nothing);
        };
        match links.get(name) {
            Some(Link::Object(address)) => trail.push((name.to_owned(), *address)),
            Some(Link::Soft(target)) => {
                *followed += 1;
                if *followed > MOST_FOLLOWED {
                    return Err(Stop::Nothing);
                }
                if target.starts_with('/') {
                    trail.clear();
                }
                for name in target.split('/').filter(|name| !name.is_empty() && *name != ".") {
                    self.step(trail, name, followed)?;
                }
            }
            Some(Link::External { file, path }) => {
                return Err(Stop::External { file: file.clone(), path: path.clone() });
            }
            Some(Link::Unknown) | None => return Err(Stop::Nothing),
        }
        Ok(())
    }

    /// Bytes of the texts of the attributes of what is at `place`, a path without soft links.
    ///
    /// 0 if nothing is there.
    pub(super) fn attribute_texts(&mut self, place: &str) -> io::Result<u64> {
        let mut trail = Vec::new();
        for name in place.split('/').filter(|name| !name.is_empty()) {
            if self.step(&mut trail, name, &mut 0).is_err() {
                return Ok(0);
            }
        }
        let address = trail.last().map_or(self.root, |(_, address)| *address);
        text_size(&mut self.file, address)
    }

    /// Names of the members of the group at `place`, sorted; those that lead to nothing left out.
    ///
    /// `None` if there is no group. External links are listed: they are there, and refused when
    /// they are opened.
    pub(super) fn children(&mut self, place: &str) -> io::Result<Option<Vec<String>>> {
        let Found::Object { path, is_group: true } = self.find(place)? else {
            return Ok(None);
        };
        let mut trail = Vec::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            if self.step(&mut trail, name, &mut 0).is_err() {
                return Ok(None);
            }
        }
        let address = trail.last().map_or(self.root, |(_, address)| *address);
        let Object::Group(links) = self.object(address)? else {
            return Ok(None);
        };
        let mut names = Vec::with_capacity(links.len());
        for (name, link) in links.iter() {
            let is_there = match link {
                Link::Object(address) => !matches!(self.object(*address)?, Object::Other),
                Link::Soft(_) => {
                    let mut trail = trail.clone();
                    !matches!(self.step(&mut trail, name, &mut 0), Err(Stop::Nothing))
                }
                Link::External { .. } => true,
                Link::Unknown => false,
            };
            if is_there {
                names.push(name.clone());
            }
        }
        Ok(Some(names))
    }

    /// The place of a group that contains itself, is nested beyond reason, or goes by so many names
    /// that what it holds would be read without end.
    ///
    /// Every group is visited once for each path to it, depth first, so the bounds on depth and
    /// names are also bounds on time. `None` if there is no such group.
    pub(super) fn endless(&mut self) -> io::Result<Option<String>> {
        let mut names: HashMap<u64, usize> = HashMap::new();
        let mut waiting = vec![(String::new(), vec![self.root])];
        while let Some((place, ancestors)) = waiting.pop() {
            let Object::Group(links) = self.object(ancestors[ancestors.len() - 1])? else {
                continue;
            };
            let mut trail: Trail = Vec::new();
            for name in place.split('/').filter(|name| !name.is_empty()) {
                if self.step(&mut trail, name, &mut 0).is_err() {
                    break;
                }
            }
            for name in links.keys() {
                let mut trail = trail.clone();
                if self.step(&mut trail, name, &mut 0).is_err() {
                    continue;
                }
                let address = trail.last().map_or(self.root, |(_, address)| *address);
                if !matches!(self.object(address)?, Object::Group(_)) {
                    continue;
                }
                let place = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
                let count = names.entry(address).or_default();
                *count += 1;
                if ancestors.contains(&address) || ancestors.len() > DEEPEST || *count > MOST_NAMES
                {
                    return Ok(Some(place));
                }
                let mut ancestors = ancestors.clone();
                ancestors.push(address);
                waiting.push((place, ancestors));
            }
        }
        Ok(None)
    }
}
