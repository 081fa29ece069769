//! [`settle`]: a model that is named, or is at an address, becomes a folder of this machine.
//!
//! This is done once, before a command begins: it is given the folder, and knows nothing of names.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Result;
use scgpt_data::Error;

use crate::{
    flags::{Asked, end_of_options},
    output::Printer,
    settings::named,
};

/// Adds `--model FOLDER` behind the options where the model that they, or the file of settings, name is not a path;
/// what is not on this machine is fetched.
///
/// # Errors
/// If there is no such model, or it cannot be fetched.
pub(crate) fn settle(args: &mut Vec<OsString>, asked: &Asked, printer: Printer) -> Result<bool> {
    let given = |id| asked.matches.try_get_one::<PathBuf>(id).ok().flatten();
    if !asked.command.get_arguments().any(|argument| argument.get_id() == "model") {
        return Ok(false);
    }
    let files: Vec<PathBuf> = given("config").cloned().into_iter().collect();
    let model = named("model", given("model").map(PathBuf::as_path), &files)?;
    // A path that is there needs no look at names, caches or files of the user.
    let Some(model) = model.filter(|model| !model.exists()) else { return Ok(false) };
    let Some(folder) = folder_of(&model, printer)? else {
        // What is neither is for the command to refuse, unless it is the name of a known model but for its spelling.
        return misspelled(&model).map_or(Ok(false), |error| Err(error.into()));
    };
    let mut option = OsString::from("--model=");
    option.push(folder);
    args.insert(end_of_options(args), option);
    Ok(true)
}

/// The error for the name of a known model in another spelling, as scGPT_human for scgpt-human, where there is no such
/// folder.
fn misspelled(model: &Path) -> Option<Error> {
    let plain = |name: &str| name.replace(['_', '-', ' '], "").to_lowercase();
    let written = plain(model.to_str()?);
    let name = known().into_iter().find(|name| plain(name) == written)?;
    Some(Error::unsuited(
        format!("`{}`: no such folder", model.display()),
        format!(
            "name the folder where it is, or write `{name}` for the known model, which is fetched; `scgpt models list` has all \
             that are known"
        ),
    ))
}

#[cfg(not(feature = "cloud"))]
fn known() -> Vec<String> {
    Vec::new()
}

/// Names of known models.
#[cfg(feature = "cloud")]
fn known() -> Vec<String> {
    let store = scgpt_tasks::models::ModelStore::of_user();
    store.map_or_else(|_| Vec::new(), |store| store.known().keys().cloned().collect())
}

#[cfg(not(feature = "cloud"))]
fn folder_of(model: &Path, _: Printer) -> Result<Option<PathBuf>> {
    if !scgpt_data::is_url(model) {
        return Ok(None);
    }
    anyhow::bail!(
        "`{}`: a URL: scgpt was built without feature `cloud`; build it with `--features cloud`, or download the folder first",
        model.display()
    )
}

/// The folder of a model that is no path.
#[cfg(feature = "cloud")]
fn folder_of(model: &Path, printer: Printer) -> Result<Option<PathBuf>> {
    use scgpt_tasks::models::ModelStore;

    let store = ModelStore::of_user()?;
    let Some(address) = store.address(model) else { return Ok(None) };
    let fetched = pull(&store, &address?, printer)?;
    Ok(Some(fetched.folder.folder))
}

/// Fetches a model, and says so.
#[cfg(feature = "cloud")]
pub(crate) fn pull(
    store: &scgpt_tasks::models::ModelStore,
    address: &scgpt_data::FolderAddress,
    printer: Printer,
) -> Result<scgpt_data::Fetched> {
    let bar = crate::progress::ByteBar::new("fetching the model", printer);
    let fetched = store.pull(address, |done, all| bar.told(done, all));
    drop(bar);
    let fetched = fetched?;
    let folder = &fetched.folder;
    if let Some(why) = &fetched.unasked {
        printer.remark(&format!(
            "warning: whether there is a newer version of {address} is not known: {why}"
        ));
    }
    let now = match fetched.bytes.div_ceil(1_000_000) {
        0 => String::new(),
        megabytes => format!(", {megabytes} MB of it fetched now"),
    };
    printer.remark(&format!("note: {address} is `{}`{now}", folder.folder.display()));
    Ok(fetched)
}
