//! A provider that answers with the ids that a test chooses. The simulator's are its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct Provider {
    /// Its base URL; each one has an origin of its own.
    pub url: String,
    answers: Arc<Mutex<VecDeque<Value>>>,
    task: JoinHandle<()>,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/wallet", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let next = answers.clone();
        let task = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let answer = next.lock().unwrap().pop_front().expect("an answer for each call");
                answer_one(connection, &answer).await;
            }
        });
        Self { url, answers, task }
    }

    /// The next link has this id, as the provider's own code reads it.
    pub fn next_id(&self, id: &str) {
        self.next(json!({ "success": true, "id": id, "url": "https://pay.example/l/1" }));
    }

    /// The next link has no id.
    pub fn next_without_id(&self) {
        self.next(json!({ "success": true, "url": "https://pay.example/l/1" }));
    }

    fn next(&self, answer: Value) {
        self.answers.lock().unwrap().push_back(answer);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer_one(mut connection: TcpStream, answer: &Value) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        assert!(connection.read_buf(&mut request).await.unwrap() > 0, "half a request");
    }
    let body = answer.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all((head + &body).as_bytes()).await.unwrap();
}

fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request);
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or_default()
}
