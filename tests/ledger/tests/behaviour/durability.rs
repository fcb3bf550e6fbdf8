//! What a power cut would leave, and who may read it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use kazawallet_ledger_tests::postgres::{Postgres, Stop};
use kazawallet_ledger_tests::{Delivery, Job};

use crate::support::{Database, TestShop, code};

#[tokio::test]
async fn sqlite_writes_ahead_and_its_files_are_the_owners_alone() {
    let shop = TestShop::on(Database::Sqlite).await;
    let ledger = shop.ledger().await;
    shop.paid_order(&ledger, "order-1").await;
    let other = rusqlite::Connection::open(shop.file()).unwrap();
    let mode: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let mut files = 0;
    for file in fs::read_dir(shop.folder()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        files += 1;
    }
    assert_eq!(files, 3, "the file, its log and its index");
}

/// Also where the database was set to confirm before the disk has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_confirms_what_survives_a_crash() {
    // It writes late what it need not write at once.
    let lazy = [("wal_writer_delay", "10s"), ("wal_writer_flush_after", "1GB")];
    let server = tokio::task::spawn_blocking(move || Postgres::start_with(&lazy, &[])).await;
    let server = Arc::new(server.unwrap().unwrap_or_else(|error| panic!("{error}")));
    let shop = TestShop::on_server(&server).await;
    let name = shop.shop.ledger.rsplit('/').next().unwrap();
    server.run(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await.unwrap();
    let ledger = shop.ledger().await;
    let id = shop.order(&ledger, "order-1").await;
    crate::migrations::run_sql(&shop, "CREATE TABLE control (note TEXT)").await;
    let receipt = ledger.receive(shop.body(&Delivery::paid(&id, Job::PRICE, "order-1"))).await;
    // The same, as the database was set: it is what shows that the crash takes something away.
    crate::migrations::run_sql(&shop, "INSERT INTO control VALUES ('lost')").await;
    let crash = server.clone();
    let crashed = tokio::task::spawn_blocking(move || {
        crash.stop(Stop::Immediate).and_then(|()| crash.start_again())
    });
    crashed.await.unwrap().unwrap();
    assert!(receipt.unwrap().decision == kazawallet_ledger::Decision::Paid);
    assert_eq!(crate::count(&shop, "SELECT COUNT(*) FROM control").await, 0);
    let ledger = shop.ledger().await;
    assert!(ledger.payment(&id).await.unwrap().unwrap().is_paid());
}

mod tls {
    use kazawallet_ledger::Ledger;
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        KeyUsagePurpose,
    };
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::support::in_time;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    fn valid(mut params: CertificateParams) -> CertificateParams {
        let now = SystemTime::now();
        params.not_before = (now - 30 * DAY).into();
        params.not_after = (now + 30 * DAY).into();
        params
    }

    impl Authority {
        fn new() -> Self {
            let mut params = valid(CertificateParams::default());
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let key = KeyPair::generate().unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            Self { issuer: Issuer::new(params, key), pem }
        }

        /// The certificate and the key of a server.
        fn certify(&self, name: &str, until: SystemTime) -> (String, String) {
            let mut params = valid(CertificateParams::new(vec![name.to_owned()]).unwrap());
            params.not_after = until.into();
            params.use_authority_key_identifier_extension = true;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            (certificate.pem(), key.serialize_pem())
        }
    }

    async fn server(identity: (String, String)) -> Postgres {
        let start = move || {
            let settings = [
                ("ssl", "on"),
                ("ssl_cert_file", "../server.crt"),
                ("ssl_key_file", "../server.key"),
            ];
            let files = [("server.crt", identity.0.as_str()), ("server.key", &identity.1)];
            Postgres::start_with(&settings, &files)
        };
        tokio::task::spawn_blocking(start).await.unwrap().unwrap_or_else(|error| panic!("{error}"))
    }

    async fn opened(url: &str) -> Result<Ledger, kazawallet::Error> {
        in_time(Ledger::open(url).no_spool().into_future()).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn where_it_is_asked_for_the_certificate_must_fit() {
        let authority = Authority::new();
        let folder = tempfile::TempDir::new().unwrap();
        let root = folder.path().join("root.pem");
        fs::write(&root, &authority.pem).unwrap();
        let root = root.display();
        let tomorrow = SystemTime::now() + DAY;

        let fits = server(authority.certify("127.0.0.1", tomorrow)).await;
        let url = fits.new_database().await.unwrap();
        for mode in ["require", "verify-ca", "verify-full"] {
            let ledger = opened(&format!("{url}?sslmode={mode}&sslrootcert={root}")).await.unwrap();
            let encrypted = "SELECT COUNT(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                WHERE ssl AND application_name = 'kazawallet'";
            let (client, connection) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let count: i64 = client.query_one(encrypted, &[]).await.unwrap().get(0);
            assert!(count > 0, "{mode}");
            ledger.close().await;
            // A root that nobody knows: `require`, too, verifies in full.
            assert_eq!(code(opened(&format!("{url}?sslmode={mode}")).await), "ledger_unavailable");
        }
        // On this machine it need not be asked for.
        opened(&url).await.unwrap();

        for (name, until) in [("db.example", tomorrow), ("127.0.0.1", SystemTime::now() - DAY)] {
            let unfit = server(authority.certify(name, until)).await;
            let url = unfit.new_database().await.unwrap();
            for mode in ["require", "verify-ca", "verify-full"] {
                let refused = opened(&format!("{url}?sslmode={mode}&sslrootcert={root}")).await;
                assert_eq!(code(refused), "ledger_unavailable", "{name} {mode}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn where_it_is_asked_for_there_is_no_plain_text_instead() {
        let shop = TestShop::on(Database::Postgres).await;
        for mode in ["require", "verify-ca", "verify-full"] {
            let refused = opened(&format!("{}?sslmode={mode}", shop.shop.ledger)).await;
            assert_eq!(code(refused), "ledger_unavailable", "{mode}");
        }
        for mode in ["disable", "allow", "prefer"] {
            opened(&format!("{}?sslmode={mode}", shop.shop.ledger)).await.unwrap();
        }
    }
}
