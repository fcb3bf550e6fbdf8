//! Where deliveries go while the database cannot be reached: a folder, one file a delivery.
//!
//! A file is written under another name and renamed once the disk has it, so that a crash leaves a
//! whole delivery or none; and any number of processes may write and take them over at once.
//!
//! A ledger that is given no folder has one for its URL, and leaves its mark there: a URL changes (a
//! standby takes over, a role is renamed) while deliveries wait, and the ledger finds them by it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kazawallet::{Error, ErrorKind, PaymentEvent, Report};

use crate::database::error;
use crate::digests;
use crate::ledger::{Ledger, unique};
use crate::voice::Voice;

pub(crate) const FOLDER_VARIABLE: &str = "KAZAWALLET_SPOOL";
const WHOLE: &str = "delivery";
const HALF: &str = "part";
/// The file that holds a ledger's mark.
const MARK: &str = "ledger";
/// The most deliveries of one order id that are kept, as in the database: whoever holds a genuine one
/// can send it in as many ways as they like.
const OF_ONE_ORDER_ID: usize = 20;

pub(crate) struct Spool {
    folder: PathBuf,
    /// The folder of such folders, where this is one.
    parent: Option<PathBuf>,
    /// How many this process has kept, which tells those of one millisecond apart.
    kept: AtomicU64,
}

/// A delivery in the spool.
struct Kept {
    path: PathBuf,
    received_at: SystemTime,
}

impl Spool {
    pub(crate) fn in_folder(folder: PathBuf) -> Result<Self, Error> {
        let unusable = |problem: io::Error| {
            Error::no_ledger(format!(
                "the ledger's spool folder cannot be used: {problem}. It keeps deliveries while the \
                 database cannot be reached: give a folder on a disk that outlives a restart as \
                 `spool`, or in the environment variable KAZAWALLET_SPOOL"
            ))
            .caused_by(problem)
        };
        make_private(&folder).map_err(unusable)?;
        let spool = Self { folder, parent: None, kept: AtomicU64::new(0) };
        // Found out now, not when a payment depends on it.
        let trial = spool.folder.join(format!("{}.{HALF}", unique()?));
        File::create(&trial).and_then(|_| fs::remove_file(&trial)).map_err(unusable)?;
        Ok(spool)
    }

    /// The folder of a ledger that was given none: its own, since what is in it belongs to one
    /// database. `given` is what was looked up as `KAZAWALLET_SPOOL`, if that was not left to this.
    pub(crate) fn in_usual_folder(
        database: &str,
        given: Option<Option<PathBuf>>,
    ) -> Result<Self, Error> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let state = || variable("XDG_STATE_HOME").map(PathBuf::from);
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let local = || variable("LOCALAPPDATA").map(PathBuf::from);
        let given = given.unwrap_or_else(|| variable(FOLDER_VARIABLE).map(PathBuf::from));
        let parent = given.or_else(|| {
            [state(), home(), local()]
                .into_iter()
                .flatten()
                .next()
                .map(|folder| folder.join("kazawallet"))
        });
        let parent = parent.ok_or_else(|| {
            Error::no_ledger(
                "the ledger's spool has no folder: give one on a disk that outlives a restart as \
                 `spool`, or in the environment variable KAZAWALLET_SPOOL",
            )
        })?;
        let own = digests::of(database.as_bytes());
        let spool = Self::in_folder(parent.join(own.get(..16).unwrap_or(&own)))?;
        Ok(Self { parent: Some(parent), ..spool })
    }

    /// Keeps a delivery. It returns when the disk has it.
    pub(crate) async fn keep(
        &self,
        received_at: SystemTime,
        event: &PaymentEvent,
    ) -> Result<(), Error> {
        let (folder, body, name) = (self.folder.clone(), event.body().to_vec(), unique()?);
        let order_id = digests::of(event.order_id().as_bytes());
        let number = self.kept.fetch_add(1, Ordering::Relaxed);
        let written = on_the_side(move || {
            let since = received_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let of_same = listed(&folder)?.iter().filter(|path| is_of(path, &order_id)).count();
            if of_same >= OF_ONE_ORDER_ID {
                return Ok(());
            }
            let half = folder.join(format!("{since:015}-{number:09}-{order_id}-{name}.{HALF}"));
            let mut file = new_private(&half)?;
            let done = file.write_all(&body).and_then(|()| file.sync_all());
            let done = done.and_then(|()| fs::rename(&half, half.with_extension(WHOLE)));
            if done.is_err() {
                let _ = fs::remove_file(&half);
            }
            done.and_then(|()| sync_folder(&folder))
        });
        written.await.map_err(|problem| {
            let kind = match problem.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::LedgerFull,
                _ => ErrorKind::LedgerUnavailable,
            };
            let said = format!("the delivery could be stored neither in the ledger's database nor in its spool: {problem}");
            error(kind, said).caused_by(problem)
        })
    }

    /// What is kept, oldest first: here and, where the ledger's key is known, in the folders that bear
    /// its mark.
    async fn kept(&self, key: Option<&Vec<u8>>, voice: &Voice) -> io::Result<Vec<Kept>> {
        let (folder, parent) = (self.folder.clone(), self.parent.clone());
        let mark = key.map(|key| digests::keyed(key, MARK.as_bytes()));
        let voice = voice.clone();
        let listed = on_the_side(move || {
            let mut paths = listed(&folder)?;
            if let (Some(parent), Some(mark)) = (parent, mark) {
                // What is here has to be taken over although it cannot be marked.
                if !bears(&folder, &mark)
                    && let Err(problem) = put_mark(&folder, &mark)
                {
                    let text = format!("the ledger's spool cannot be marked as its own: {problem}");
                    voice.tell(Report::warning("spool_not_marked", text));
                }
                for other in listed(&parent)? {
                    if other != folder && bears(&other, &mark) {
                        paths.extend(listed(&other).unwrap_or_default());
                    }
                }
            }
            Ok(paths)
        });
        let mut kept: Vec<Kept> = listed.await?.into_iter().filter_map(Kept::named).collect();
        kept.sort_by(|a, b| a.path.file_name().cmp(&b.path.file_name()));
        Ok(kept)
    }

    pub(crate) async fn count(&self, key: Option<&Vec<u8>>, voice: &Voice) -> u64 {
        self.kept(key, voice).await.map_or(0, |kept| kept.len() as u64)
    }
}

fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

fn is_of(path: &Path, order_id: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.split('-').nth(2) == Some(order_id))
}

fn bears(folder: &Path, mark: &str) -> bool {
    fs::read_to_string(folder.join(MARK)).is_ok_and(|found| found == mark)
}

fn put_mark(folder: &Path, mark: &str) -> io::Result<()> {
    let name = unique().map_err(io::Error::other)?;
    let half = folder.join(format!("{name}.{HALF}"));
    let mut file = new_private(&half)?;
    file.write_all(mark.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, folder.join(MARK))?;
    sync_folder(folder)
}

impl Kept {
    fn named(path: PathBuf) -> Option<Self> {
        if path.extension()? != WHOLE {
            return None;
        }
        let since: u64 = path.file_stem()?.to_str()?.split('-').next()?.parse().ok()?;
        let received_at = UNIX_EPOCH.checked_add(Duration::from_millis(since))?;
        Some(Self { path, received_at })
    }
}

impl Ledger {
    /// Takes over what is in the spool. What cannot be taken over stays there.
    pub(crate) async fn drain(&self) {
        let Some(spool) = &self.inner.spool else { return };
        let kept = match spool.kept(self.inner.digest_key.get(), &self.inner.voice).await {
            Ok(kept) => kept,
            Err(problem) => {
                let text = format!("the ledger's spool cannot be read: {problem}");
                self.tell(Report::warning("spool_unreadable", text));
                return;
            }
        };
        for Kept { path, received_at } in kept {
            let file = path.clone();
            let body = match on_the_side(move || fs::read(file)).await {
                Ok(body) => body,
                // Another process has taken it over.
                Err(problem) if problem.kind() == io::ErrorKind::NotFound => continue,
                Err(problem) => {
                    let text =
                        format!("a delivery in the ledger's spool cannot be read: {problem}");
                    self.tell(Report::warning("spool_unreadable", text));
                    continue;
                }
            };
            let Ok(webhook) = self.webhook() else { return };
            // It was verified when it came; only a change of keys makes it fail now.
            let Ok(event) = webhook.verify(&body) else {
                self.tell(Report::warning(
                    "spool_of_another_key",
                    "a delivery stays in the ledger's spool: it was signed with a key that the ledger does \
                     not know. If the keys were rotated, open it with a webhook that knows the previous \
                     key, too",
                ));
                continue;
            };
            if let Err(problem) = self.store(event, received_at).await {
                let text = format!("a delivery stays in the ledger's spool: {problem}");
                if problem.kind() == ErrorKind::LedgerUnavailable {
                    // As when it went there: one outage is told once a minute.
                    self.tell(Report::warning("spooled", text));
                    return;
                }
                self.tell(Report::warning("stays_in_the_spool", text));
                continue;
            }
            let _ = on_the_side(move || fs::remove_file(path)).await;
        }
    }
}

/// Runs what waits for the disk where nothing else waits for it.
async fn on_the_side<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| Err(stopped.into()))
}

/// Deliveries hold people's data: the folder is its owner's alone.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let folder = std::path::absolute(folder)?;
    let new: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    builder.create(&folder)?;
    new.iter().filter_map(|folder| folder.parent()).try_for_each(sync_folder)
}

fn new_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file's name is in its folder, which has to reach the disk, too.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
