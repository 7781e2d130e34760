//! The gates that ask what a recipient wants: suppressions, consents, and their changes while a voicemail is under way.

use std::sync::Arc;

use ringless::domain::attempt::Outcome;
use ringless::domain::consent::ConsentKind;
use ringless::domain::failure::FailureReason;
use ringless::domain::gate::Gate;
use ringless::domain::ids::UseCaseId;
use ringless::domain::status::{End, Status};
use ringless::domain::suppression::{Deletion, Scope, SuppressionReason};
use ringless::domain::use_case::Purpose;
use ringless::domain::word::{Said, Word};
use ringless::ops::consents::{self, NewConsent, NewRevocation};
use ringless::ops::deliver::{self, Delivering, Heard};
use ringless::ops::suppressions::{self, NewSuppression};
use ringless::ops::use_cases::{self, UseCaseChange};
use ringless::ops::{OpError, voicemails};
use ringless::storage::Tx;

use crate::gates::{ANY_HOUR, RECIPIENT, at, checks, end, rules, simple};
use crate::support::Engine;
use crate::support::data::{LEASE, Scene, WORKSPACE, number};
use crate::support::scripted::{NEITHER, REPEATABLE, Scripted};

crate::on_both_databases!(
    what_was_claimed_before_a_suppression_is_not_sent,
    what_is_on_its_way_says_that_it_was_suppressed_too_late,
    advertising_needs_a_written_consent_that_stands,
    a_number_that_may_not_be_sent_to_any_more_is_refused,
    a_repeat_in_doubt_is_not_made_once_the_recipient_is_suppressed,
    an_entity_keeps_its_name_while_numbers_are_suppressed_for_it,
    an_opt_out_for_nothing_that_is_sent_holds_for_everything,
    a_carriers_word_after_the_end_counts_and_suppresses,
);

async fn suppress(scene: &Scene, recipient: &str, reason: SuppressionReason) -> u64 {
    let new = NewSuppression {
        phone_number: number(recipient),
        scope: Scope::Entity("Clinic".to_owned()),
        reason,
        source: "hotline".to_owned(),
        actor: "a test".to_owned(),
        note: String::new(),
        expire_time: None,
    };
    let create = move |tx: &mut dyn Tx| suppressions::create(tx, WORKSPACE, &new);
    let created = scene.test.store.write(create).await.unwrap();
    created.skipped
}

async fn what_was_claimed_before_a_suppression_is_not_sent(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept(RECIPIENT).await;
    let task = scene.claim_one().await;
    assert_eq!(
        suppress(&scene, RECIPIENT, SuppressionReason::Litigator).await,
        0
    );
    scene.runner().run(task).await;
    assert_eq!(
        end(&scene, id).await,
        (Status::Skipped, Some(FailureReason::KnownLitigator))
    );
    assert!(scene.carrier.given().is_empty());
    let checks = checks(&scene, id).await;
    let finding = checks[0].found.decisive().expect("it was refused");
    assert_eq!(finding.gate, Gate::Suppression);
    assert!(
        finding
            .inputs
            .contains(&("source".to_owned(), "hotline".to_owned())),
        "{finding:?}"
    );
}

async fn what_is_on_its_way_says_that_it_was_suppressed_too_late(engine: Engine) {
    let taken = Outcome::Taken { ask_after: None };
    let scene = Scene::new(engine, Scripted::new(NEITHER, [taken])).await;
    let sent = scene.accept(RECIPIENT).await;
    scene.work().await;
    let waiting = scene.accept(RECIPIENT).await;
    scene.advance_seconds(5);
    assert_eq!(
        suppress(&scene, RECIPIENT, SuppressionReason::OptOut).await,
        1
    );
    assert_eq!(
        end(&scene, waiting).await,
        (Status::Skipped, Some(FailureReason::InternalDnc))
    );
    let registry = scene.registry.clone();
    let explain = move |tx: &mut dyn Tx| voicemails::explained(tx, WORKSPACE, sent, &registry);
    let shown = scene.test.store.read(explain).await.unwrap();
    assert_eq!(shown.status, Status::Sent);
    assert!(
        shown.status_detail.contains("OPT_OUT") && shown.status_detail.contains("already"),
        "{}",
        shown.status_detail
    );
}

async fn advertising_needs_a_written_consent_that_stands(engine: Engine) {
    let file = format!("[purposes.marketing]\n{ANY_HOUR}");
    let scene = simple(engine, Purpose::Marketing, &file).await;
    let missing = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert_eq!(
        end(&scene, missing).await,
        (Status::Skipped, Some(FailureReason::ConsentMissing))
    );
    let consent = |kind| NewConsent {
        phone_number: number(RECIPIENT),
        scope: Scope::Workspace,
        kind,
        text_shown: "I agree to be sent offers by voicemail".to_owned(),
        source: "web form".to_owned(),
        actor: "a test".to_owned(),
        consent_time: None,
        request_id: None,
    };
    let mut ids = Vec::new();
    for kind in [ConsentKind::Express, ConsentKind::Written] {
        let new = consent(kind);
        let create = move |tx: &mut dyn Tx| consents::create(tx, WORKSPACE, &new);
        ids.push(scene.test.store.write(create).await.unwrap().id);
        let next = scene.accept(RECIPIENT).await;
        scene.work().await;
        let status = scene.get(next).await.status;
        assert_eq!(status == Status::Delivered, kind == ConsentKind::Written);
    }
    scene.advance_seconds(60);
    let id = ids[1];
    let no = NewRevocation {
        time: None,
        reason: "wants no more".to_owned(),
        actor: "a test".to_owned(),
    };
    let revoke = move |tx: &mut dyn Tx| consents::revoke(tx, WORKSPACE, id, &no);
    scene.test.store.write(revoke).await.unwrap();
    let revoked = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert_eq!(
        end(&scene, revoked).await,
        (Status::Skipped, Some(FailureReason::ConsentRevoked))
    );
}

async fn a_number_that_may_not_be_sent_to_any_more_is_refused(engine: Engine) {
    let mut scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let id = scene.accept(RECIPIENT).await;
    let allowed =
        "[numbers]\ndefault_country = 'CA'\nallowed_countries = ['CA']\n[purposes.other]\n";
    scene.gates = Arc::new(rules(&format!("{allowed}{ANY_HOUR}")));
    scene.work().await;
    assert_eq!(
        end(&scene, id).await,
        (Status::Skipped, Some(FailureReason::RecipientNotAllowed))
    );
}

async fn a_repeat_in_doubt_is_not_made_once_the_recipient_is_suppressed(engine: Engine) {
    for is_suppressed in [false, true] {
        let scene = Scene::new(engine, Scripted::new(REPEATABLE, [Outcome::Unknown])).await;
        let id = scene.accept(RECIPIENT).await;
        scene.work().await;
        assert_eq!(scene.get(id).await.status, Status::Sending);
        if is_suppressed {
            suppress(&scene, RECIPIENT, SuppressionReason::OptOut).await;
        }
        scene.advance_seconds(600);
        scene.work().await;
        let (wanted, calls) = match is_suppressed {
            false => ((Status::Delivered, None), 2),
            true => (
                (Status::Unconfirmed, Some(FailureReason::CarrierAmbiguous)),
                1,
            ),
        };
        assert_eq!(end(&scene, id).await, wanted);
        assert_eq!(scene.carrier.given().len(), calls);
    }
}

async fn an_entity_keeps_its_name_while_numbers_are_suppressed_for_it(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    suppress(&scene, RECIPIENT, SuppressionReason::OptOut).await;
    let rename = async |name: &str| {
        let (id, registry) = (scene.use_case_id, scene.registry.clone());
        let change = UseCaseChange {
            entity_name: Some(name.to_owned()),
            ..UseCaseChange::default()
        };
        let update = move |tx: &mut dyn Tx| use_cases::update(tx, WORKSPACE, id, change, &registry);
        scene.test.store.write(update).await
    };
    let refused = rename("Clinic, LLC").await.unwrap_err();
    assert!(
        matches!(&refused, OpError::InvalidFields(bad) if bad[0].field == "use_case.entity_name")
    );
    assert!(rename("Clinic").await.is_ok(), "the same name is no other");
    let find = move |tx: &mut dyn Tx| tx.suppressions_of(WORKSPACE, &number(RECIPIENT));
    let known = scene.test.store.read(find).await.unwrap();
    let id = known[0].id;
    let deletion = Deletion {
        time: scene.test.clock.now(),
        reason: "a slip".to_owned(),
        actor: "a test".to_owned(),
    };
    let delete = move |tx: &mut dyn Tx| tx.end_suppression(id, &deletion);
    assert!(scene.test.store.write(delete).await.unwrap());
    assert_eq!(
        rename("Clinic, LLC").await.unwrap().entity_name,
        "Clinic, LLC"
    );
}

async fn an_opt_out_for_nothing_that_is_sent_holds_for_everything(engine: Engine) {
    let scene = Scene::new(engine, Scripted::new(NEITHER, [])).await;
    let effective = async |scope: Scope| {
        let find = move |tx: &mut dyn Tx| suppressions::effective_scope(tx, WORKSPACE, &scope);
        scene.test.store.read(find).await.unwrap()
    };
    let clinic = Scope::Entity("Clinic".to_owned());
    let reminders = Scope::UseCase(scene.use_case_id);
    for known in [Scope::Workspace, clinic, reminders] {
        assert_eq!(effective(known.clone()).await, known);
    }
    let nobody = Scope::Entity("clinic".to_owned());
    let nothing = Scope::UseCase(UseCaseId::generate());
    for unknown in [nobody, nothing] {
        assert_eq!(effective(unknown).await, Scope::Workspace);
    }
}

async fn a_carriers_word_after_the_end_counts_and_suppresses(engine: Engine) {
    let refused = Outcome::Rejected {
        reason: FailureReason::NotMobile,
    };
    let scene = Scene::new(engine, Scripted::new(NEITHER, [refused])).await;
    let id = scene.accept(RECIPIENT).await;
    scene.work().await;
    assert_eq!(scene.get(id).await.status, Status::Skipped);
    let hear = async |said: Said| {
        let delivering = Delivering {
            registry: scene.registry.clone(),
            rules: scene.rules.clone(),
            gates: scene.gates.clone(),
            lease: LEASE,
            doors: None,
        };
        let hear = move |tx: &mut dyn Tx| {
            let hand_over = tx.last_hand_over(id)?.expect("it was handed over");
            let heard = deliver::hear(tx, &delivering, &hand_over, &Word::of(said), 0.5)?;
            assert!(matches!(heard, Heard::Contradicts), "{heard:?}");
            Ok::<_, OpError>(tx.last_hand_over(id)?.expect("it is there").counts_time)
        };
        scene.test.store.write(hear).await.unwrap()
    };
    let suppressed = async || {
        let find = move |tx: &mut dyn Tx| tx.suppressions_of(WORKSPACE, &number(RECIPIENT));
        scene.test.store.read(find).await.unwrap().len()
    };
    assert_eq!(
        hear(Said::Ended(End::Because(FailureReason::CarrierDnc))).await,
        None
    );
    assert_eq!(suppressed().await, 1);
    assert_eq!(hear(Said::Ended(End::Delivered)).await, Some(at(0)));
    assert_eq!(
        scene.get(id).await.status,
        Status::Skipped,
        "the first end stays"
    );
}
