//! What a session does when a server misbehaves.

use std::time::Duration;

use tenantry::{ErrorKind, Result, Retry, Secret};
use tenantry_ldap::{
    BindRefusal, Change, Control, Cookie, Credentials, Filter, Limits, NextRange, PageProgress, PlainText,
    RangedValues, Scope, SearchPage, SearchRequest, Server, Session, Settings, bind_refusal, code, is_cookie_lost,
};
use tokio::net::TcpStream;

use crate::byte_server::{ByteServer, Peer, account, entry, message, page_end, plain_settings, result, tlv};

fn everything() -> SearchRequest {
    SearchRequest::new("DC=corp,DC=example", Filter::any()).attributes(["cn"])
}

fn quick() -> Limits {
    let mut limits = Limits::default();
    limits.connect_timeout = Duration::from_secs(5);
    limits.operation_timeout = Duration::from_secs(20);
    limits
}

/// Binds to a server that answers the first search with these bytes and waits; returns the page and the session.
async fn answered_with(
    answer: impl Fn(u8) -> Vec<u8> + Send + Sync + Clone + 'static,
) -> (Result<SearchPage>, Session) {
    let server = ByteServer::start(move |stream| {
        let answer = answer.clone();
        async move {
            let mut peer = Peer(stream);
            if !peer.accept_bind().await {
                return;
            }
            let Some(id) = peer.search().await else { return };
            peer.send(&answer(id)).await;
            peer.until_closed().await;
        }
    })
    .await;
    let session = Session::connect(&server.settings().limits(quick())).await.unwrap();
    (session.search_page(&everything(), None).await, session)
}

/// The session is over: the next call fails at once and says that it can be tried again with a new one.
async fn assert_over(session: &Session) {
    let error = session.search_page(&everything(), None).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unavailable, Retry::Backoff));
    assert!(error.context("because").is_some(), "{error}");
}

#[tokio::test]
async fn malformed_messages_end_the_session_and_not_the_process() {
    let mut deep = vec![0x30, 0];
    for _ in 0..100_000 {
        deep = tlv(0x30, &deep);
    }
    let bad: Vec<Vec<u8>> = vec![
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        tlv(0x30, b""),
        tlv(0x30, &[2, 1, 2]),
        message(2, &tlv(0x65, b"")),
        message(2, &tlv(0x65, &tlv(0x0a, &[0]))),
        message(2, &tlv(0x64, &tlv(4, b"x"))),
        message(2, &tlv(0x64, b"\x04\x7fx")),
        message(2, &tlv(0x41, b"")),
        message(
            2,
            &[tlv(0x65, &[tlv(0x0a, &[0]), tlv(4, b""), tlv(4, b"")].concat()), tlv(0xa0, &tlv(4, b""))].concat(),
        ),
        vec![0x30, 0x80, 0, 0],
        deep,
        result(2, 0x61, 0, "", &[]),
        result(2, 0x65, 0, "", &[("1.2.840.113556.1.4.319", b"garbage")]),
        [
            entry(2, "CN=\u{0}", &[]),
            message(2, &tlv(0x64, &[tlv(4, b"\xff"), tlv(0x30, b"")].concat())),
            page_end(2, b""),
        ]
        .concat(),
    ];
    for bytes in bad {
        let sent = bytes.clone();
        let (page, _session) = answered_with(move |_| sent.clone()).await;
        let error = page.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (&ErrorKind::Protocol, Retry::Never), "{bytes:02x?}: {error:?}");
    }
}

#[tokio::test]
async fn after_a_malformed_message_every_call_fails_at_once() {
    let (page, session) = answered_with(|_| tlv(0x30, b"")).await;
    assert!(page.is_err());
    assert_over(&session).await;
}

#[tokio::test]
async fn an_oversized_message_is_refused_when_it_is_announced() {
    let (page, session) = answered_with(|_| vec![0x30, 0x84, 0x40, 0, 0, 0, 2, 1, 2]).await;
    let error = page.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Protocol);
    assert_eq!(error.context("limit"), Some("67108864"));
    assert_over(&session).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_left_after_the_time_limit() {
    let server = ByteServer::start(|stream| async move {
        let mut peer = Peer(stream);
        peer.accept_bind().await;
        peer.until_closed().await;
    })
    .await;
    let mut limits = quick();
    limits.operation_timeout = Duration::from_millis(300);
    let session = Session::connect(&server.settings().limits(limits)).await.unwrap();
    let error = session.search_page(&everything(), None).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unavailable, Retry::Backoff));
    assert_over(&session).await;
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_is_unavailable() {
    for keep in [0, 1, 20] {
        let server = ByteServer::start(move |stream| async move {
            let mut peer = Peer(stream);
            peer.accept_bind().await;
            let Some(id) = peer.search().await else { return };
            peer.send(&entry(id, "CN=a", &[])).await;
            peer.send(&page_end(id, b"")[..keep]).await;
        })
        .await;
        let session = Session::connect(&server.settings().limits(quick())).await.unwrap();
        let error = session.search_page(&everything(), None).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unavailable, Retry::Backoff), "{error:?}");
        assert_over(&session).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_complete_before_the_cut_counts() {
    let server = ByteServer::start(move |stream| async move {
        let mut peer = Peer(stream);
        peer.accept_bind().await;
        let Some(id) = peer.search().await else { return };
        peer.send(&[entry(id, "CN=a", &[("cn", &[b"a"])]), page_end(id, b"")].concat()).await;
    })
    .await;
    let session = Session::connect(&server.settings().limits(quick())).await.unwrap();
    let page = session.search_page(&everything(), None).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert!(session.search_page(&everything(), None).await.is_err());
}

async fn refusing_server(code: u8, text: &'static str) -> ByteServer {
    ByteServer::start(move |stream| async move {
        let mut peer = Peer(stream);
        if let Some(request) = peer.request().await {
            peer.send(&result(request.id, 0x61, code, text, &[])).await;
        }
        peer.until_closed().await;
    })
    .await
}

#[tokio::test]
async fn a_refused_password_is_tried_once_and_not_at_the_next_server() {
    for (data, refusal) in [
        ("525", BindRefusal::NoSuchAccount),
        ("52e", BindRefusal::WrongPassword),
        ("530", BindRefusal::LogonHours),
        ("531", BindRefusal::Workstation),
        ("532", BindRefusal::PasswordExpired),
        ("533", BindRefusal::Disabled),
        ("701", BindRefusal::AccountExpired),
        ("773", BindRefusal::MustChangePassword),
        ("775", BindRefusal::Locked),
        ("80090346", BindRefusal::ChannelBinding),
    ] {
        let text = format!("80090308: LdapErr: DSID-0C09030B, comment: AcceptSecurityContext error, data {data}, v893");
        let first = refusing_server(49, text.leak()).await;
        let second = refusing_server(0, "").await;
        let error = Session::connect(&plain_settings([first.server(), second.server()])).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unauthenticated, Retry::Never));
        assert_eq!(bind_refusal(&error), Some(refusal));
        assert_eq!((first.connections(), second.connections()), (1, 0));
        assert!(!format!("{error:?}").contains("Passw0rd"));
    }
}

#[tokio::test]
async fn a_demand_for_signing_is_a_matter_of_configuration() {
    let server = refusing_server(8, "00002028: LdapErr: DSID-0C090256, comment: x, data 0, v3839").await;
    let error = Session::connect(&server.settings()).await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (&ErrorKind::Config, Some(8)));
}

#[tokio::test]
async fn busy_refused_and_silent_servers_are_passed_over() {
    let busy = refusing_server(51, "").await;
    let cut = ByteServer::start(|stream| async move { drop(stream) }).await;
    let good = refusing_server(0, "").await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Server::parse(&format!("ldap://{}", listener.local_addr().unwrap())).unwrap()
    };
    let servers =
        [closed, Server::parse("ldap://no-such-host.example:1").unwrap(), busy.server(), cut.server(), good.server()];
    let session = Session::connect(&plain_settings(servers)).await.unwrap();
    assert_eq!(session.server().port(), good.address.port());
    let messages: Vec<_> = session.skipped().iter().map(tenantry::Error::message).collect();
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(messages[0].contains("refused") && messages[1].contains("resolved") && messages[2].contains("busy"));
}

#[tokio::test]
async fn an_empty_password_and_plain_text_are_refused_before_anything_is_sent() {
    let server = refusing_server(0, "").await;
    let mut settings = server.settings();
    settings.credentials = Credentials::Password { name: "sync@corp.example".into(), password: Secret::new("") };
    assert_eq!(*Session::connect(&settings).await.unwrap_err().kind(), ErrorKind::Config);
    let forbidden = server.settings().plain_text(PlainText::Refused);
    assert_eq!(*Session::connect(&forbidden).await.unwrap_err().kind(), ErrorKind::Config);
    let nobody = Session::connect(&Settings::new(vec![], account())).await.unwrap_err();
    assert_eq!(*nobody.kind(), ErrorKind::Config);
    assert_eq!(server.connections(), 0);
}

/// Answers searches with these pages, one after the other.
async fn paging_server(pages: &'static [(usize, &'static [u8])]) -> ByteServer {
    ByteServer::start(move |stream| async move {
        let mut peer = Peer(stream);
        peer.accept_bind().await;
        for (page, (entries, cookie)) in pages.iter().enumerate() {
            let Some(id) = peer.search().await else { return };
            for number in 0..*entries {
                peer.send(&entry(id, &format!("CN=p{page}n{number}"), &[])).await;
            }
            let reference = tlv(0x73, &tlv(4, b"ldap://DomainDnsZones.corp.example/DC=x"));
            peer.send(&message(id, &reference)).await;
            peer.send(&page_end(id, cookie)).await;
        }
        if let Some(id) = peer.search().await {
            let text = "00000057: LdapErr: DSID-0C090797, comment: Error processing control, data 0";
            peer.send(&result(id, 0x65, 12, text, &[])).await;
        }
        peer.until_closed().await;
    })
    .await
}

#[tokio::test]
async fn empty_pages_and_repeated_cookies_are_no_end_and_references_are_counted() {
    let server = paging_server(&[(2, b"c1"), (0, b"c1"), (3, b"c1"), (0, b"")]).await;
    let session = Session::connect(&server.settings()).await.unwrap();
    let (mut cookie, mut entries, mut references): (Option<Cookie>, _, _) = (None, 0, 0);
    let mut progress = PageProgress::new(3);
    loop {
        let page = session.search_page(&everything(), cookie.as_ref()).await.unwrap();
        progress.observe(&page).unwrap();
        entries += page.entries.len();
        references += page.referrals_ignored;
        cookie = page.next;
        if cookie.is_none() {
            break;
        }
    }
    assert_eq!((entries, references), (5, 4));
}

#[tokio::test]
async fn a_lost_cookie_is_recognisable_and_the_session_lives_on() {
    let server = paging_server(&[(1, b"c1")]).await;
    let session = Session::connect(&server.settings()).await.unwrap();
    let page = session.search_page(&everything(), None).await.unwrap();
    let error = session.search_page(&everything(), page.next.as_ref()).await.unwrap_err();
    assert!(is_cookie_lost(&error), "{error:?}");
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test]
async fn an_unknown_critical_control_is_not_a_lost_cookie() {
    let server = paging_server(&[]).await;
    let session = Session::connect(&server.settings()).await.unwrap();
    let error = session.search_page(&everything().control(Control::show_deleted()), None).await.unwrap_err();
    assert!(!is_cookie_lost(&error));
    assert_eq!(*error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn an_answer_without_the_paging_control_does_not_prove_the_end() {
    let (page, _session) = answered_with(|id| result(id, 0x65, 0, "", &[])).await;
    assert_eq!(*page.unwrap_err().kind(), ErrorKind::Protocol);
}

async fn flood(mut peer: Peer<TcpStream>, bytes: Vec<u8>) {
    let block = bytes.repeat(1000);
    while peer.send(&block).await {}
}

#[tokio::test]
async fn a_flood_of_entries_references_or_strange_messages_ends_in_an_error() {
    let reference = |id| message(id, &tlv(0x73, &tlv(4, b"ldap://x.example/")));
    let kinds: [fn(u8) -> Vec<u8>; 4] = [
        |id| entry(id, "CN=a", &[("cn", &[&[b'x'; 1000]])]),
        reference,
        |_| entry(99, "CN=a", &[]),
        |id| message(id, &tlv(0x79, b"")),
    ];
    for kind in kinds {
        let server = ByteServer::start(move |stream| async move {
            let mut peer = Peer(stream);
            peer.accept_bind().await;
            if let Some(id) = peer.search().await {
                flood(peer, kind(id)).await;
            }
        })
        .await;
        let session = Session::connect(&server.settings().limits(quick())).await.unwrap();
        let error = session.search_page(&everything(), None).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Protocol, "{error:?}");
        assert_eq!(error.context("allowed"), Some("1257"));
        assert_over(&session).await;
    }
}

#[tokio::test]
async fn a_page_with_more_entries_than_asked_for_is_refused() {
    let server = paging_server(&[(3, b"")]).await;
    let session = Session::connect(&server.settings()).await.unwrap();
    let error = session.search_page(&everything().page_size(2), None).await.unwrap_err();
    assert_eq!(error.context("allowed"), Some("2"));
}

#[tokio::test]
async fn an_answer_above_the_byte_limit_is_refused() {
    let server = paging_server(&[(900, b"")]).await;
    let mut limits = quick();
    limits.max_answer_bytes = 10_000;
    let session = Session::connect(&server.settings().limits(limits)).await.unwrap();
    let error = session.search_page(&everything(), None).await.unwrap_err();
    assert_eq!(error.context("limit"), Some("10000"));
}

#[tokio::test]
async fn a_dropped_call_closes_the_connection() {
    let (closed, mut is_closed) = tokio::sync::mpsc::channel(1);
    let server = ByteServer::start(move |stream| {
        let closed = closed.clone();
        async move {
            let mut peer = Peer(stream);
            peer.accept_bind().await;
            peer.search().await;
            peer.until_closed().await;
            closed.send(()).await.unwrap();
        }
    })
    .await;
    let session = Session::connect(&server.settings().limits(quick())).await.unwrap();
    let request = everything();
    let call = tokio::time::timeout(Duration::from_millis(200), session.search_page(&request, None));
    assert!(call.await.is_err());
    tokio::time::timeout(Duration::from_secs(5), is_closed.recv()).await.unwrap();
    assert_over(&session).await;
}

#[tokio::test]
async fn a_notice_of_disconnection_as_active_directory_writes_it_is_unavailable() {
    let (page, session) = answered_with(|_| {
        let body = [tlv(0x0a, &[52]), tlv(4, b""), tlv(4, b"bye")].concat();
        message(0, &[tlv(0x78, &body), tlv(0x8a, b"1.3.6.1.4.1.1466.20036")].concat())
    })
    .await;
    let error = page.unwrap_err();
    assert_eq!((error.kind(), error.context("result code")), (&ErrorKind::Unavailable, Some("52")));
    assert_over(&session).await;
}

#[tokio::test]
async fn ranges_that_the_server_starts_by_itself_are_read_to_the_end() {
    let server = ByteServer::start(|stream| async move {
        let mut peer = Peer(stream);
        peer.accept_bind().await;
        let Some(id) = peer.search().await else { return };
        let first = entry(id, "CN=g", &[("member", &[]), ("member;Range=0-1", &[b"CN=a", b"CN=b"])]);
        peer.send(&[first, page_end(id, b"")].concat()).await;
        let Some(request) = peer.request().await else { return };
        assert!(request.bytes.windows(16).any(|part| part == b"member;range=2-*"));
        let next = entry(request.id, "CN=g", &[("member;range=2-2", &[b"CN=c"])]);
        peer.send(&[next, result(request.id, 0x65, 0, "", &[])].concat()).await;
        // Past the end: no attribute at all.
        let Some(id) = peer.search().await else { return };
        peer.send(&[entry(id, "CN=g", &[]), result(id, 0x65, 0, "", &[])].concat()).await;
        // The object is gone.
        let Some(id) = peer.search().await else { return };
        peer.send(&result(id, 0x65, 32, "", &[])).await;
        peer.until_closed().await;
    })
    .await;
    let session = Session::connect(&server.settings()).await.unwrap();
    let page = session.search_page(&everything().scope(Scope::Subtree), None).await.unwrap();
    let first = RangedValues::first(&page.entries[0], "member").unwrap();
    assert_eq!((first.values.len(), first.next), (2, NextRange::From(2)));
    let second = session.read_range("<GUID=x>", "member", 2, &[]).await.unwrap();
    assert_eq!((second.values, second.next), (vec![b"CN=c".to_vec()], NextRange::From(3)));
    let third = session.read_range("<GUID=x>", "member", 3, &[]).await.unwrap();
    assert_eq!((third.values.len(), third.next), (0, NextRange::Done));
    let gone = session.read_range("<GUID=x>", "member", 3, &[]).await.unwrap_err();
    assert_eq!(*gone.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_change_without_values_is_refused_before_anything_is_sent() {
    let server = refusing_server(0, "").await;
    let session = Session::connect(&server.settings()).await.unwrap();
    for changes in [vec![], vec![Change::add("a", Vec::<Vec<u8>>::new())]] {
        assert_eq!(*session.modify("CN=a", &changes, &[]).await.unwrap_err().kind(), ErrorKind::Config);
    }
    session.close().await.unwrap();
}

#[tokio::test]
async fn start_tls_that_is_refused_or_tampered_with_never_leads_to_a_bind() {
    for (code, extra, kind) in
        [(2, &b""[..], ErrorKind::Config), (52, b"", ErrorKind::Unavailable), (0, b"\x30\x05", ErrorKind::Protocol)]
    {
        let server = ByteServer::start(move |stream| async move {
            let mut peer = Peer(stream);
            let request = peer.request().await.unwrap();
            assert_eq!(request.operation, 0x77);
            peer.send(&[&result(request.id, 0x78, code, "", &[]), extra].concat()).await;
            assert!(peer.request().await.is_none(), "nothing may follow in the clear");
        })
        .await;
        let settings = Settings::new(vec![server.server()], account()).plain_text(PlainText::Allowed);
        let error = Session::connect(&settings.limits(quick())).await.unwrap_err();
        assert_eq!(*error.kind(), kind, "{error:?}");
    }
}

#[tokio::test]
async fn no_debug_shows_a_password() {
    let server = refusing_server(0, "").await;
    let settings = server.settings();
    let session = Session::connect(&settings).await.unwrap();
    let shown = format!("{settings:?} {session:?} {:?}", settings.credentials);
    assert!(!shown.contains("Passw0rd"), "{shown}");
}

#[tokio::test]
async fn a_closed_session_says_good_bye() {
    let (seen, mut was_seen) = tokio::sync::mpsc::channel(1);
    let server = ByteServer::start(move |stream| {
        let seen = seen.clone();
        async move {
            let mut peer = Peer(stream);
            peer.accept_bind().await;
            seen.send(peer.request().await.map(|request| request.operation)).await.unwrap();
        }
    })
    .await;
    let session = Session::connect(&server.settings().limits(quick())).await.unwrap();
    session.close().await.unwrap();
    assert_eq!(was_seen.recv().await, Some(Some(0x42)));
}

/// Numbers that look random and are the same each time.
fn scatter(seed: usize) -> usize {
    let mixed = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33).unwrap()
}

#[tokio::test]
async fn answers_with_damaged_bytes_are_read_or_refused_and_never_panic() {
    let mut refused = 0;
    for round in 0..1500 {
        let server = ByteServer::start(move |stream| async move {
            let mut peer = Peer(stream);
            peer.accept_bind().await;
            let Some(id) = peer.search().await else { return };
            let reference = message(id, &tlv(0x73, &tlv(4, b"ldap://x.example/")));
            let mut answer =
                [entry(id, "CN=a", &[("cn", &[b"a", b"b"]), ("x", &[])]), reference, page_end(id, b"cookie")].concat();
            for damage in 0..=round % 3 {
                let at = scatter(round * 3 + damage) % answer.len();
                answer[at] = scatter(round * 3 + damage + 100_000).to_le_bytes()[0];
            }
            peer.send(&answer).await;
        })
        .await;
        let session = Session::connect(&server.settings().limits(quick())).await.unwrap();
        if let Err(error) = session.search_page(&everything(), None).await {
            refused += 1;
            assert!(
                matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unavailable) || code(&error).is_some(),
                "{error:?}"
            );
            assert!(!error.message().contains("could not cope"), "round {round}: {error:?}");
        }
    }
    assert!(refused > 500, "{refused}");
}
