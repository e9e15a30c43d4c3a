//! The files below a folder, for somebody who reads them one by one and may stop.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One after the other, as the system gives them; each may have to wait for the disk.
fn walk(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<PathBuf>> + Send + use<>> {
    let mut open = vec![fs::read_dir(folder)?];
    Ok(std::iter::from_fn(move || {
        while let Some(entries) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                continue;
            };
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => return Some(Err(error)),
            };
            if !path.is_dir() {
                return Some(Ok(path));
            }
            match fs::read_dir(path) {
                Ok(entries) => open.push(entries),
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }))
}

/// The iterator goes to a thread for each portion, and comes back with it.
mod before {
    use std::collections::VecDeque;
    use std::io;
    use std::path::{Path, PathBuf};

    use futures::stream::{self, Stream, StreamExt};
    use tokio::task::spawn_blocking;

    const PORTION: usize = 1000;

    pub(super) async fn list(
        folder: &Path,
    ) -> io::Result<impl Stream<Item = io::Result<PathBuf>> + use<>> {
        let folder = folder.to_owned();
        let files = spawn_blocking(move || super::walk(&folder)).await??;
        let state = (files, VecDeque::new());
        let portions = stream::unfold(state, |(mut files, mut portion)| async move {
            if portion.is_empty() {
                let moved = spawn_blocking(move || {
                    portion.extend(files.by_ref().take(PORTION));
                    (files, portion)
                });
                (files, portion) = match moved.await {
                    Ok(both) => both,
                    // The iterator is lost with the thread's panic.
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                };
            }
            let file = portion.pop_front()?;
            Some((file, (files, portion)))
        });
        Ok(portions.boxed())
    }
}

/// The runtime makes up to 1000 items ahead, and the iterator holds no thread while its consumer is slow. If the folder
/// cannot be opened, the first item is the error.
mod after {
    use std::io;
    use std::path::{Path, PathBuf};

    use offload_runtime::offload;

    #[offload(thread, stream = 1000)]
    pub(super) fn list(
        #[to_owned] folder: &Path,
    ) -> io::Result<impl Iterator<Item = io::Result<PathBuf>>> {
        super::walk(folder)
    }
}

mod tests {
    use std::pin::pin;

    use futures::{Stream, StreamExt};

    use super::*;

    async fn names(files: impl Stream<Item = io::Result<PathBuf>>) -> Vec<String> {
        let name = |file: io::Result<PathBuf>| file.unwrap().file_name().unwrap().to_owned();
        let mut names: Vec<_> = files.map(|file| name(file).into_string().unwrap()).collect().await;
        names.sort();
        names
    }

    #[tokio::test]
    async fn all_files_are_listed_and_a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        fs::create_dir(&below).unwrap();
        for name in ["a", "below/b", "below/c"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(names(before::list(folder.path()).await.unwrap()).await, ["a", "b", "c"]);
        assert_eq!(names(after::list(folder.path())).await, ["a", "b", "c"]);

        let nowhere = folder.path().join("nowhere");
        let error = before::list(&nowhere).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = pin!(after::list(&nowhere)).next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
