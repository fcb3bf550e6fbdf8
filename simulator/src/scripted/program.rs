//! The scripted server as a program, for tests in other languages.

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout};

use super::{Script, ScriptedError, ScriptedServer};

/// Reads a script from the first line of standard input and starts a server; prints one line
/// `{"url": …, "root_certificate": …}`; waits for the end of standard input, and prints one line with what
/// the server saw (see [`Observed`](super::Observed)).
///
/// # Errors
/// When the first line is no script, when the server cannot start, and when standard input or output fails.
pub async fn run_program() -> Result<(), ScriptedError> {
    let mut input = BufReader::new(stdin()).lines();
    let line = input.next_line().await?.unwrap_or_default();
    let server = ScriptedServer::start(Script::from_json(&line)?).await?;
    print_line(&json!({ "url": server.url(), "root_certificate": server.root_certificate() }))
        .await?;
    while input.next_line().await?.is_some() {}
    let observed = serde_json::to_value(server.finish().await).map_err(ScriptedError::Script)?;
    print_line(&observed).await
}

async fn print_line(value: &serde_json::Value) -> Result<(), ScriptedError> {
    let mut output = stdout();
    output.write_all(format!("{value}\n").as_bytes()).await?;
    output.flush().await?;
    Ok(())
}
