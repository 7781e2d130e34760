//! The tables, written once. The two databases differ in how ids and times are written only, so
//! each engine calls this macro with its two types; a test compares it with the migrations.

macro_rules! schema {
    ($id:ident, $ts:ident) => {
        diesel::table! {
            service_keys (name) { name -> Text, value -> Binary, }
        }

        diesel::table! {
            workspaces (id) { id -> BigInt, name -> Text, }
        }

        diesel::table! {
            setups (id) {
                id -> $id,
                workspace_id -> BigInt,
                display_name -> Text,
                carriers -> Text,
                status -> SmallInt,
                status_detail -> Text,
                create_time -> $ts,
                update_time -> $ts,
                delete_time -> Nullable<$ts>,
                starts_per_minute -> Integer,
                in_flight_max -> Integer,
                next_start_time -> $ts,
                pause_reason -> Nullable<SmallInt>,
                pause_carrier -> Text,
                pause_time -> Nullable<$ts>,
            }
        }

        diesel::table! {
            breakers (carrier) {
                carrier -> Text,
                since -> $ts,
                next_trial_time -> $ts,
                trials -> Integer,
            }
        }

        diesel::table! {
            sweeps (name) { name -> Text, next_time -> $ts, }
        }

        diesel::table! {
            phone_numbers (id) {
                id -> $id,
                workspace_id -> BigInt,
                setup_id -> $id,
                phone_number -> Text,
                display_name -> Text,
                status -> SmallInt,
                carriers -> Text,
                create_time -> $ts,
                update_time -> $ts,
                delete_time -> Nullable<$ts>,
                daily_cap -> Integer,
                warm_up -> Text,
                warm_up_start_time -> Nullable<$ts>,
            }
        }

        diesel::table! {
            use_cases (id) {
                id -> $id,
                workspace_id -> BigInt,
                channel -> SmallInt,
                entity_name -> Text,
                name -> Text,
                description -> Text,
                setup_id -> $id,
                purpose -> Nullable<SmallInt>,
                callback_phone_number -> Nullable<Text>,
                opt_out_phone_number -> Nullable<Text>,
                create_time -> $ts,
                update_time -> $ts,
                delete_time -> Nullable<$ts>,
                sender_policy -> SmallInt,
                sticky_sender -> Bool,
                main_phone_number_id -> Nullable<$id>,
                pause_time -> Nullable<$ts>,
                pause_reason -> Text,
                senders_full_until -> Nullable<$ts>,
            }
        }

        diesel::table! {
            use_case_phone_numbers (use_case_id, phone_number_id) {
                use_case_id -> $id,
                phone_number_id -> $id,
                workspace_id -> BigInt,
                assign_time -> $ts,
            }
        }

        diesel::table! {
            create_requests (workspace_id, kind, request_id) {
                workspace_id -> BigInt,
                kind -> Text,
                request_id -> Text,
                resource_id -> $id,
                content_hash -> Binary,
                create_time -> $ts,
            }
        }

        diesel::table! {
            audios (id) {
                id -> $id,
                workspace_id -> BigInt,
                sha256 -> Binary,
                size_bytes -> BigInt,
                duration_ms -> Integer,
                create_time -> $ts,
                last_used_time -> $ts,
            }
        }

        diesel::table! {
            audio_bytes (audio_id) { audio_id -> $id, bytes -> Binary, }
        }

        diesel::table! {
            voicemails (id) {
                id -> $id,
                workspace_id -> BigInt,
                use_case_id -> $id,
                setup_id -> $id,
                sender_id -> $id,
                sender -> Text,
                recipient -> Text,
                status -> SmallInt,
                failure_reason -> Nullable<SmallInt>,
                status_detail -> Text,
                simulated -> Bool,
                audio_id -> $id,
                labels -> Text,
                request_id -> Nullable<Text>,
                request_hash -> Binary,
                create_time -> $ts,
                update_time -> $ts,
                schedule_time -> Nullable<$ts>,
                expire_time -> $ts,
                due_time -> $ts,
                sent_time -> Nullable<$ts>,
                end_time -> Nullable<$ts>,
                next_time -> Nullable<$ts>,
                held -> Bool,
                lease_token -> Nullable<$id>,
                tries -> Integer,
                attempt_count -> Integer,
                carrier -> Text,
                latency_bucket -> Nullable<SmallInt>,
                hold_gate -> Nullable<SmallInt>,
                time_zone -> Text,
                postal_code -> Text,
            }
        }

        diesel::table! {
            gate_checks (voicemail_id, number) {
                voicemail_id -> $id,
                number -> Integer,
                workspace_id -> BigInt,
                check_time -> $ts,
                last_time -> $ts,
                findings -> Text,
                rules_version -> Text,
            }
        }

        diesel::table! {
            voicemail_labels (workspace_id, key, value, create_time, voicemail_id) {
                workspace_id -> BigInt,
                key -> Text,
                value -> Text,
                create_time -> $ts,
                voicemail_id -> $id,
            }
        }

        diesel::table! {
            hand_overs (id) {
                id -> $id,
                workspace_id -> BigInt,
                voicemail_id -> $id,
                carrier -> Text,
                request -> Binary,
                reference -> Text,
                doubt_time -> Nullable<$ts>,
                asks -> Integer,
                create_time -> $ts,
                number -> Integer,
                turn -> Integer,
                refused_round -> Nullable<Integer>,
                token_hash -> Nullable<Binary>,
                void -> Bool,
                recipient -> Text,
                sender_id -> Nullable<$id>,
                counts_time -> Nullable<$ts>,
            }
        }

        diesel::table! {
            attempts (voicemail_id, number) {
                voicemail_id -> $id,
                number -> Integer,
                workspace_id -> BigInt,
                hand_over_id -> $id,
                carrier -> Text,
                start_time -> $ts,
                end_time -> Nullable<$ts>,
                outcome -> Nullable<SmallInt>,
                failure_reason -> Nullable<SmallInt>,
                carrier_reference -> Text,
                carrier_code -> Text,
                carrier_detail -> Text,
                late_outcome -> Text,
                cost_micros -> Nullable<BigInt>,
                cost_currency -> Text,
            }
        }

        diesel::table! {
            carrier_uploads (account, audio_id) {
                account -> Text,
                audio_id -> $id,
                reference -> Text,
                create_time -> $ts,
            }
        }

        diesel::table! {
            callbacks (hand_over_id, number) {
                hand_over_id -> $id,
                number -> Integer,
                workspace_id -> BigInt,
                receive_time -> $ts,
                content_type -> Text,
                query -> Text,
                body -> Binary,
                said -> Nullable<Text>,
            }
        }

        diesel::table! {
            webhook_events (carrier, event_id) {
                carrier -> Text,
                event_id -> Text,
                receive_time -> $ts,
                body -> Binary,
                hand_over_id -> Nullable<$id>,
                said -> Text,
            }
        }

        diesel::table! {
            suppressions (id) {
                id -> $id,
                workspace_id -> BigInt,
                phone_number -> Text,
                scope -> SmallInt,
                scope_key -> Text,
                reason -> SmallInt,
                source -> Text,
                actor -> Text,
                note -> Text,
                create_time -> $ts,
                update_time -> $ts,
                expire_time -> Nullable<$ts>,
                delete_time -> Nullable<$ts>,
                delete_reason -> Text,
                delete_actor -> Text,
            }
        }

        diesel::table! {
            batches (workspace_id, batch_id) {
                workspace_id -> BigInt,
                batch_id -> Text,
                content_hash -> Binary,
                use_case_id -> $id,
                audio_id -> $id,
                recipient_count -> Integer,
                create_time -> $ts,
            }
        }

        diesel::table! {
            consents (id) {
                id -> $id,
                workspace_id -> BigInt,
                phone_number -> Text,
                scope -> SmallInt,
                scope_key -> Text,
                kind -> SmallInt,
                text_shown -> Text,
                source -> Text,
                actor -> Text,
                consent_time -> $ts,
                create_time -> $ts,
                revoke_time -> Nullable<$ts>,
                revoke_reason -> Text,
                revoke_actor -> Text,
            }
        }

        diesel::table! {
            batch_members (workspace_id, batch_id, number) {
                workspace_id -> BigInt,
                batch_id -> Text,
                number -> Integer,
                voicemail_id -> $id,
                create_time -> $ts,
            }
        }

        diesel::table! {
            ended_changes (id) {
                id -> BigInt,
                workspace_id -> BigInt,
                hour -> BigInt,
                use_case_id -> $id,
                setup_id -> $id,
                sender -> Text,
                carrier -> Text,
                failure_reason -> Nullable<SmallInt>,
                status -> SmallInt,
                simulated -> Bool,
                latency_bucket -> Nullable<SmallInt>,
                count -> BigInt,
            }
        }

        diesel::table! {
            ended_counts (workspace_id, grain, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated) {
                workspace_id -> BigInt,
                grain -> SmallInt,
                hour -> BigInt,
                use_case_id -> $id,
                setup_id -> $id,
                sender -> Text,
                carrier -> Text,
                failure_reason -> SmallInt,
                status -> SmallInt,
                simulated -> Bool,
                count -> BigInt,
                latencies -> Text,
            }
        }

        diesel::joinable!(voicemails -> audios (audio_id));
        diesel::joinable!(use_case_phone_numbers -> phone_numbers (phone_number_id));
        diesel::allow_tables_to_appear_in_same_query!(
            setups, phone_numbers, use_cases, use_case_phone_numbers, audios, audio_bytes,
            voicemails, voicemail_labels, hand_overs, attempts, callbacks, batches, batch_members,
        );
    };
}

pub(super) use schema;
