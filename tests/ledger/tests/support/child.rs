//! The program `work_for_shop`: a process that works for a shop, and may be killed.

use std::process::Stdio;
use std::time::Duration;

use kazawallet_ledger_tests::{Job, Shop};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;

use super::in_time;

pub struct Child {
    process: tokio::process::Child,
    commands: ChildStdin,
    /// It is read all the time, so that the child never waits for its reader.
    said: mpsc::UnboundedReceiver<String>,
    _errand: NamedTempFile,
}

impl Child {
    /// Starts one that will do so many steps at once.
    pub fn start(shop: &Shop, job: &Job, at_once: usize) -> Self {
        Self::start_through(Command::new(env!("CARGO_BIN_EXE_work_for_shop")), shop, job, at_once)
    }

    /// Starts one by a command that ends with the program.
    pub fn start_through(mut command: Command, shop: &Shop, job: &Job, at_once: usize) -> Self {
        // As a file: a job may be longer than an argument can be.
        let errand = NamedTempFile::new().unwrap();
        serde_json::to_writer(&errand, &(shop, job)).unwrap();
        let mut process = command
            .arg(errand.path())
            .arg(at_once.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, said) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                // The test may have lost interest.
                let _ = sender.send(line);
            }
        });
        Self { process, commands, said, _errand: errand }
    }

    /// The next line; `None` at the end of its output.
    pub async fn says(&mut self) -> Option<String> {
        in_time(self.said.recv()).await
    }

    /// The next line of one that may have nothing to say for long.
    pub async fn says_at_last(&mut self) -> Option<String> {
        self.said.recv().await
    }

    /// Waits until the ledger is open.
    pub async fn ready(&mut self) {
        assert_eq!(self.says().await.as_deref(), Some("ready"));
    }

    pub async fn tell(&mut self, command: &str) {
        // One that was killed hears nothing any more.
        let _ = self.commands.write_all(format!("{command}\n").as_bytes()).await;
    }

    /// Everything that it still says, until its end.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.says().await {
            lines.push(line);
        }
        lines
    }

    /// As [`rest`](Self::rest), of one that came to the end of its job.
    pub async fn finished(mut self) -> Vec<String> {
        let mut lines = self.rest().await;
        assert_eq!(lines.pop().as_deref(), Some("finished"), "after {lines:?}");
        let status = in_time(self.process.wait()).await.unwrap();
        assert!(status.success(), "{status}");
        lines
    }

    /// Kills it after a time, and gives what it said. The time is counted from its start, or from the
    /// beginning of its work.
    pub async fn killed_after(mut self, pause: Duration, from_its_start: bool) -> Vec<String> {
        self.tell("go").await;
        let first = if from_its_start { None } else { self.says().await };
        tokio::time::sleep(pause).await;
        first.into_iter().chain(self.kill().await).collect()
    }

    pub async fn kill(mut self) -> Vec<String> {
        self.process.start_kill().unwrap();
        let lines = self.rest().await;
        in_time(self.process.wait()).await.unwrap();
        lines
    }
}
