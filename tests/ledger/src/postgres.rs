//! A real PostgreSQL server for tests: in a temporary folder, on a free loopback port, as an
//! unprivileged user, and gone at the end however the tests end.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs, process};

use tokio::net::TcpSocket;
use tokio_postgres::NoTls;

/// Names the port of a server that another process keeps, for the tests of many processes.
pub const SHARED_PORT: &str = "LEDGER_TESTS_POSTGRES_PORT";

const OLDEST_VERSION: u32 = 15;
/// Where Debian and its kin keep the server's programs, which are not in the path there.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";
const HOW_TO_INSTALL: &str = "the ledger's tests need PostgreSQL 15 or newer, and none was found: \
    no `initdb` in PATH or in /usr/lib/postgresql/*/bin. Debian, Ubuntu: `apt-get install \
    postgresql`; macOS: `brew install postgresql@15`, and its `bin` in PATH";

/// Keeps the server. It reads commands until its input ends, and then the server and its folder go:
/// the input ends with the process that wrote to it, even where that was killed.
const KEEPER: &str = r#"
set -u
programs=$1
folder=$(mktemp -d "$2/kazawallet-postgres.XXXXXX") || exit 1
trap '' HUP INT TERM
echo "$folder"
while read -r command options; do
    case $command in
    create)
        "$programs/initdb" --pgdata "$folder/data" --username postgres --auth trust --no-locale \
            --encoding UTF8 --no-sync && cat >>"$folder/data/postgresql.conf" <"$folder/settings"
        ;;
    start)
        "$programs/pg_ctl" start --pgdata "$folder/data" --log "$folder/server.log" --wait \
            --timeout 120 --silent
        ;;
    stop)
        "$programs/pg_ctl" stop --pgdata "$folder/data" --mode "$options" --wait --timeout 120 --silent
        ;;
    esac >"$folder/command.log" 2>&1 && echo done || echo failed
done
"$programs/pg_ctl" stop --pgdata "$folder/data" --mode immediate --wait --silent >/dev/null 2>&1
rm -rf "$folder"
"#;

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Connections are cut, what is not committed is rolled back, everything is written.
    Fast,
    /// As in a crash: what was not written is recovered at the next start.
    Immediate,
}

/// A server. It is stopped and removed when this is dropped, or when the process ends.
#[derive(Debug)]
pub struct Postgres {
    /// `None` if another process keeps the server.
    keeper: Option<Mutex<Keeper>>,
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    /// The port's name tag. A socket that is bound and does not listen leaves the port to the server,
    /// and while the server is stopped nobody else is given it: not even a client that tries to
    /// reach the server, and would else reach itself.
    _port: Option<TcpSocket>,
}

#[derive(Debug)]
struct Keeper {
    process: Child,
    /// `None` once it is told to end.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Postgres {
    /// The server that the tests of one process share, or of many: that of [`SHARED_PORT`], where one is
    /// named. It is not for tests that stop it.
    ///
    /// # Errors
    /// What [`start`](Self::start) says, or where the port is none.
    pub fn shared() -> io::Result<&'static Self> {
        static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            match env::var(SHARED_PORT) {
                Ok(port) => Self::kept_elsewhere(&port),
                Err(_) => Self::start(),
            }
            .map_err(|error| error.to_string())
        });
        shared.as_ref().map_err(|error| io::Error::other(error.clone()))
    }

    fn kept_elsewhere(port: &str) -> io::Result<Self> {
        Ok(Self {
            keeper: None,
            folder: PathBuf::new(),
            port: port.parse().map_err(io::Error::other)?,
            databases: AtomicU32::new(0),
            _port: None,
        })
    }

    /// Makes a server and starts it. Settings that matter to durability are PostgreSQL's own.
    ///
    /// # Errors
    /// Where PostgreSQL is not installed, or does not start: the text says why.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[], &[])
    }

    /// As [`start`](Self::start), with more settings, and with files in [`folder`](Self::folder) that
    /// they can name.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(settings: &[(&str, &str)], files: &[(&str, &str)]) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let port = socket.local_addr()?.port();

        let mut process = keeper(&programs()?)?.spawn()?;
        let (Some(commands), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("the server's keeper has no pipes"));
        };
        let mut keeper =
            Keeper { process, commands: Some(commands), answers: BufReader::new(answers) };
        let folder = PathBuf::from(keeper.answer()?);
        let server = Self {
            keeper: Some(Mutex::new(keeper)),
            folder,
            port,
            databases: AtomicU32::new(0),
            _port: Some(socket),
        };

        let port = port.to_string();
        let always = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", ""),
            ("max_connections", "300"),
        ];
        let settings: String = always
            .iter()
            .chain(settings)
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect();
        server.put_file("settings", &settings)?;
        for (name, content) in files {
            server.put_file(name, content)?;
        }
        server.command("create")?;
        server.command("start")?;
        Ok(server)
    }

    /// The server's own folder. Files of it can be named in settings, relative to `data` in it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The port on 127.0.0.1. It stays the same while the server is stopped.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database of this server, for the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database that nobody else has, and gives its URL.
    ///
    /// # Errors
    /// Where the server cannot be reached.
    pub async fn new_database(&self) -> io::Result<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", process::id());
        self.run(&format!("create database {name}")).await?;
        Ok(self.url(&name))
    }

    /// Runs SQL in the database `postgres`.
    ///
    /// # Errors
    /// Where the server cannot be reached, or refuses it.
    pub async fn run(&self, sql: &str) -> io::Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.url("postgres"), NoTls)
            .await
            .map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let done = client.batch_execute(sql).await.map_err(io::Error::other);
        drop(client);
        // It ends with its client, and has nothing more to tell.
        let _ = connection.await;
        done
    }

    /// Stops the server, and returns once it has stopped.
    ///
    /// # Errors
    /// Where it does not stop, or has stopped already.
    pub fn stop(&self, how: Stop) -> io::Result<()> {
        self.command(match how {
            Stop::Fast => "stop fast",
            Stop::Immediate => "stop immediate",
        })
    }

    /// Starts the server again, on the same port, and returns once it takes connections.
    ///
    /// # Errors
    /// Where it does not start, or runs already.
    pub fn start_again(&self) -> io::Result<()> {
        self.command("start")
    }

    /// What the server has logged.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn log(&self) -> io::Result<String> {
        fs::read(self.folder.join("server.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn put_file(&self, name: &str, content: &str) -> io::Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, content)?;
        // A key must be its user's alone.
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let folder = fs::metadata(&self.folder)?;
        chown(&path, Some(folder.uid()), Some(folder.gid()))
    }

    fn command(&self, command: &str) -> io::Result<()> {
        let Some(keeper) = &self.keeper else {
            return Err(io::Error::other("another process keeps this server"));
        };
        let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(commands) = &mut keeper.commands {
            writeln!(commands, "{command}")?;
        }
        if keeper.answer()? == "done" {
            return Ok(());
        }
        let said = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let (command_log, server_log) = (said("command.log"), said("server.log"));
        Err(io::Error::other(format!("PostgreSQL: {command} failed\n{command_log}\n{server_log}")))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            let keeper = keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
            keeper.commands = None;
            // It has nothing to tell any more; waiting for it leaves nothing behind.
            let _ = keeper.process.wait();
        }
    }
}

impl Keeper {
    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!(
                "the server's keeper ended: is {} a folder that any user may write to?",
                env::temp_dir().display()
            )));
        }
        Ok(line.trim_end().to_owned())
    }
}

/// The shell that runs [`KEEPER`], as an unprivileged user: the server refuses to run as root.
fn keeper(programs: &Path) -> io::Result<Command> {
    let mut command = if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        let users = fs::read_to_string("/etc/passwd")?;
        let ids_of = |user: &str| {
            let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
            fields.find_map(|fields| match fields[..] {
                [name, _, user_id, group_id, ..] if name == user => Some((user_id, group_id)),
                _ => None,
            })
        };
        let Some((user, group)) = ids_of("postgres").or_else(|| ids_of("nobody")) else {
            return Err(io::Error::other(
                "PostgreSQL cannot run as root, and there is no `nobody`",
            ));
        };
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={group}")]);
        command.args(["--clear-groups", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", KEEPER, "keeper"]).arg(programs).arg(env::temp_dir());
    // What this shell has set for another server must not reach this one.
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    // Apart from this process, so that an interrupt from the keyboard leaves it time to clear up.
    command.process_group(0).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Ok(command)
}

/// The folder of the server's programs.
fn programs() -> io::Result<PathBuf> {
    let in_path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&in_path).collect::<Vec<_>>();
    let of_debian = fs::read_dir(DEBIAN_FOLDER).into_iter().flatten();
    let of_debian = of_debian.filter_map(|version| Some(version.ok()?.path().join("bin")));
    let mut found: Vec<(u32, PathBuf)> = in_path
        .into_iter()
        .chain(of_debian)
        .filter(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
        .filter_map(|folder| Some((version(&folder)?, folder)))
        .collect();
    found.sort();
    match found.pop() {
        Some((version, folder)) if version >= OLDEST_VERSION => Ok(folder),
        Some((version, _)) => Err(too_old(version)),
        None => Err(io::Error::new(io::ErrorKind::NotFound, HOW_TO_INSTALL)),
    }
}

fn too_old(version: impl Display) -> io::Error {
    io::Error::other(format!("{HOW_TO_INSTALL}\nThe newest that was found is {version}"))
}

/// The major version of the programs in a folder.
fn version(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("initdb")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // Such as `initdb (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, or `16beta1`.
    let digits = text.split(") ").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}
