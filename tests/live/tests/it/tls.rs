//! How a controller is reached: TLS, names of certificates, ways to write an account, refused binds.

use std::net::SocketAddr;

use tenantry::Secret;
use tenantry::model::Outcome;
use tenantry_active_directory::ActiveDirectoryConfig;
use tenantry_live::{Account, PlainBind, SambaDc, Setup};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Done, PASSWORD, World, ready};

/// Imports with changed settings, and returns the error.
async fn refused(world: &World, change: impl FnOnce(&mut ActiveDirectoryConfig)) -> tenantry::Result<String> {
    let mut config = world.config.clone();
    change(&mut config);
    world.register(config).await?;
    let report = world.import().await?;
    assert_eq!((report.outcome, report.pages), (Outcome::Failed, 0), "{report:?}");
    let error = report.error.unwrap_or_default();
    assert!(!error.contains(PASSWORD), "no password in an error");
    Ok(error)
}

async fn accepted(world: &World, change: impl FnOnce(&mut ActiveDirectoryConfig)) -> Done {
    let mut config = world.config.clone();
    change(&mut config);
    world.register(config).await?;
    world.import_done().await?;
    Ok(())
}

/// Passes connections on from an address that the controller's certificate does not name.
async fn forward(to: SocketAddr) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Ok(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_certificate_of_a_trusted_authority_for_this_name_is_accepted() -> Done {
    if !ready("tls") {
        return Ok(());
    }
    let (dc, other) = (SambaDc::provision()?, SambaDc::provision()?);
    let foreign = other.ca_pem().as_bytes().to_vec();
    let (tls, start_tls) = (SocketAddr::from((dc.address(), 636)), SocketAddr::from((dc.address(), 389)));
    let world = World::with(dc, |_| {}).await?;
    accepted(&world, |_| {}).await?;
    accepted(&world, |config| config.domain.urls = vec![world.dc.ldap_url()]).await?;

    for url in [world.dc.ldaps_url(), world.dc.ldap_url()] {
        let unknown = refused(&world, |config| {
            config.domain.urls = vec![url.clone()];
            config.domain.ca = Some(foreign.clone());
        });
        let unknown = unknown.await?;
        assert!(unknown.contains("authority") || unknown.contains("trust"), "{unknown}");
        let of_the_system = refused(&world, |config| {
            config.domain.urls = vec![url.clone()];
            config.domain.ca = None;
        });
        let of_the_system = of_the_system.await?;
        assert!(of_the_system.contains("authority") || of_the_system.contains("trust"), "{of_the_system}");
    }
    for (scheme, target) in [("ldaps", tls), ("ldap", start_tls)] {
        let elsewhere = forward(target).await?;
        let wrong_name = refused(&world, |config| config.domain.urls = vec![format!("{scheme}://{elsewhere}")]).await?;
        assert!(wrong_name.contains("certificate") && wrong_name.contains("name"), "{wrong_name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bind_in_plain_text_needs_both_sides_to_allow_it() -> Done {
    if !ready("tls") {
        return Ok(());
    }
    let world = World::with(SambaDc::provision()?, |_| {}).await?;
    let mut plain = world.config.clone();
    plain.domain.urls = vec![world.dc.ldap_url()];
    plain.domain.starttls = false;
    let error = world.register(plain.clone()).await.expect_err("refused before anything is sent");
    assert!(error.to_string().contains("insecure = true"), "{error}");

    plain.domain.insecure = true;
    let demanded = refused(&world, |config| *config = plain.clone()).await?;
    assert!(demanded.contains("the server demands signing or TLS; use ldaps:// or StartTLS"), "{demanded}");
    assert!(demanded.contains("result code: 8"), "{demanded}");

    let careless = SambaDc::start_with(&Setup { plain_bind: PlainBind::Accepted, ..Setup::default() })?;
    let world = World::with(careless, |config| {
        config.domain.urls = vec![config.domain.urls[0].replace("ldaps", "ldap")];
        config.domain.starttls = false;
        config.domain.insecure = true;
    });
    world.await?.import_done().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once_a_run() -> Done {
    if !ready("tls") {
        return Ok(());
    }
    let world = World::with(SambaDc::provision()?, |_| {}).await?;
    // A second address of the same controller: the other server of a list must not be tried with it either.
    world.dc.set_lockout_threshold(10)?;
    let count = || -> tenantry_live::Result<Option<String>> {
        let found = world.dc.ldapsearch(&world.reader.dn, "(objectClass=*)", &["badPwdCount"])?;
        Ok(found[0].text("badPwdCount").map(str::to_owned))
    };
    let two = |config: &mut ActiveDirectoryConfig| {
        config.domain.urls = vec![world.dc.ldaps_url(), world.dc.ldap_url()];
        config.domain.password = Secret::new("wrong");
    };
    let error = refused(&world, two).await?;
    assert!(error.contains("password is wrong"), "{error}");
    assert_eq!(count()?.as_deref(), Some("1"));
    let report = world.import().await?;
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(count()?.as_deref(), Some("2"), "once a run");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refused_bind_is_told_in_plain_words() -> Done {
    if !ready("tls") {
        return Ok(());
    }
    let mut dc = SambaDc::provision()?;
    let account = |dc: &SambaDc, name: &str| dc.create_account(name, PASSWORD);
    let disabled = account(&dc, "disabled")?;
    dc.replace(&disabled.dn, "userAccountControl", "514")?;
    let over = account(&dc, "over")?;
    // 1 January 2001.
    dc.replace(&over.dn, "accountExpires", "126227808000000000")?;
    let must_change = account(&dc, "mustchange")?;
    dc.replace(&must_change.dn, "pwdLastSet", "0")?;
    let old = account(&dc, "old")?;
    dc.expire_password(&old.dn)?;
    let locked = account(&dc, "locked")?;
    dc.set_lockout_threshold(2)?;
    for _ in 0..2 {
        dc.client(&locked.upn, "wrong").bind()?;
    }
    let world = World::with(dc, |_| {}).await?;
    let cases: [(&Account, &str); 5] = [
        (&disabled, "the account is disabled"),
        (&over, "the account has expired"),
        (&must_change, "must change its password"),
        (&old, "password of the account has expired"),
        (&locked, "locked out"),
    ];
    for (account, words) in cases {
        let error = refused(&world, |config| config.domain.bind.clone_from(&account.upn)).await?;
        assert!(error.contains(words), "{words}: {error}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_may_be_written_in_each_of_three_ways() -> Done {
    if !ready("tls") {
        return Ok(());
    }
    let world = World::with(SambaDc::provision()?, |_| {}).await?;
    let short = format!("{}\\reader", world.dc.netbios_domain());
    for name in [world.reader.upn.clone(), world.reader.dn.clone(), short] {
        accepted(&world, |config| config.domain.bind = name).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_of_a_list_answers_for_a_dead_or_silent_one() -> Done {
    if !ready("tls") {
        return Ok(());
    }
    let mut world = World::with(SambaDc::provision()?, |_| {}).await?;
    // One port that nobody listens on, and one on which somebody accepts and never says a word.
    let dead = TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?;
    let silent = TcpListener::bind(("127.0.0.1", 0)).await?;
    let silent_address = silent.local_addr()?;
    accepted(&world, |config| {
        config.domain.connect_timeout = std::time::Duration::from_secs(1);
        config.domain.urls = vec![format!("ldaps://{dead}"), format!("ldaps://{silent_address}"), world.dc.ldaps_url()];
    })
    .await?;
    world.check()?;
    world.import_silently().await.map_err(Into::into)
}
