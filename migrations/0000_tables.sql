CREATE TABLE `audit` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`at` integer NOT NULL,
	`organization_id` text NOT NULL,
	`actor_id` text NOT NULL,
	`actor_name` text NOT NULL,
	`action` text NOT NULL,
	`target` text NOT NULL,
	`allowed` integer NOT NULL,
	`reason` text,
	`trace_id` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `audit_by_organization` ON `audit` (`organization_id`,`id`);--> statement-breakpoint
CREATE INDEX `audit_by_target` ON `audit` (`organization_id`,`target`,`id`);--> statement-breakpoint
CREATE TABLE `browser_sessions` (
	`token_hash` text PRIMARY KEY NOT NULL,
	`organization_id` text NOT NULL,
	`user_id` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `browser_sessions_by_user` ON `browser_sessions` (`organization_id`,`user_id`);--> statement-breakpoint
CREATE INDEX `browser_sessions_by_expiry` ON `browser_sessions` (`expires_at`);--> statement-breakpoint
CREATE TABLE `hosts` (
	`id` text PRIMARY KEY NOT NULL,
	`organization_id` text NOT NULL,
	`pool` text NOT NULL,
	`name` text NOT NULL,
	`public_key` text NOT NULL,
	`status` text DEFAULT 'pending' NOT NULL,
	`created_at` integer NOT NULL,
	`last_seen_at` integer,
	`revoked_at` integer,
	FOREIGN KEY (`organization_id`) REFERENCES `organizations`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `hosts_by_public_key` ON `hosts` (`organization_id`,`public_key`);--> statement-breakpoint
CREATE INDEX `hosts_by_organization` ON `hosts` (`organization_id`,`pool`,`name`);--> statement-breakpoint
CREATE TABLE `human_loop` (
	`id` text NOT NULL,
	`organization_id` text NOT NULL,
	`session_id` text NOT NULL,
	`run_id` text NOT NULL,
	`kind` text NOT NULL,
	`title` text NOT NULL,
	`detail` text NOT NULL,
	`options` text NOT NULL,
	`multiple` integer DEFAULT false NOT NULL,
	`rule` text,
	`requested_at` integer NOT NULL,
	`expires_at` integer,
	`resolved_at` integer,
	`resolution` text,
	`resolved_by_id` text,
	`resolved_by_name` text,
	`version` integer NOT NULL,
	PRIMARY KEY(`organization_id`, `id`)
);
--> statement-breakpoint
CREATE INDEX `human_loop_pending` ON `human_loop` (`organization_id`,`resolved_at`,`requested_at`);--> statement-breakpoint
CREATE INDEX `human_loop_by_session` ON `human_loop` (`organization_id`,`session_id`,`requested_at`);--> statement-breakpoint
CREATE TABLE `join_tokens` (
	`token_hash` text PRIMARY KEY NOT NULL,
	`organization_id` text NOT NULL,
	`pool` text NOT NULL,
	`name` text,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`used_at` integer,
	`used_by_host_id` text
);
--> statement-breakpoint
CREATE INDEX `join_tokens_by_expiry` ON `join_tokens` (`expires_at`);--> statement-breakpoint
CREATE TABLE `memberships` (
	`organization_id` text NOT NULL,
	`user_id` text NOT NULL,
	`role` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`organization_id`, `user_id`),
	FOREIGN KEY (`organization_id`) REFERENCES `organizations`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `memberships_by_user` ON `memberships` (`user_id`,`organization_id`);--> statement-breakpoint
CREATE TABLE `organizations` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`default_vm_mode` text DEFAULT 'docker' NOT NULL,
	`default_provider` text DEFAULT 'scripted' NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `runs` (
	`id` text NOT NULL,
	`organization_id` text NOT NULL,
	`session_id` text NOT NULL,
	`state` text NOT NULL,
	`outcome` text,
	`reason` text,
	`evidence` text,
	`provider` text NOT NULL,
	`model` text,
	`attempts` integer NOT NULL,
	`usage` text,
	`queued_at` integer NOT NULL,
	`started_at` integer,
	`finished_at` integer,
	`version` integer NOT NULL,
	PRIMARY KEY(`organization_id`, `id`)
);
--> statement-breakpoint
CREATE INDEX `runs_by_session` ON `runs` (`organization_id`,`session_id`,`queued_at`);--> statement-breakpoint
CREATE INDEX `runs_by_time` ON `runs` (`organization_id`,`queued_at`);--> statement-breakpoint
CREATE INDEX `runs_by_state` ON `runs` (`organization_id`,`state`,`queued_at`);--> statement-breakpoint
CREATE TABLE `service_tokens` (
	`id` text PRIMARY KEY NOT NULL,
	`token_hash` text NOT NULL,
	`organization_id` text NOT NULL,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`last_used_at` integer,
	`revoked_at` integer,
	FOREIGN KEY (`organization_id`) REFERENCES `organizations`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `service_tokens_token_hash_unique` ON `service_tokens` (`token_hash`);--> statement-breakpoint
CREATE INDEX `service_tokens_by_organization` ON `service_tokens` (`organization_id`,`created_at`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`id` text NOT NULL,
	`organization_id` text NOT NULL,
	`title` text NOT NULL,
	`provider` text NOT NULL,
	`vm_mode` text NOT NULL,
	`created_by_id` text NOT NULL,
	`created_by_name` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`activity` text DEFAULT 'idle' NOT NULL,
	`needs_attention` integer DEFAULT false NOT NULL,
	`worker_state` text DEFAULT 'cold' NOT NULL,
	`deleted` integer DEFAULT false NOT NULL,
	`version` integer NOT NULL,
	PRIMARY KEY(`organization_id`, `id`)
);
--> statement-breakpoint
CREATE INDEX `sessions_by_update` ON `sessions` (`organization_id`,`deleted`,`updated_at`,`id`);--> statement-breakpoint
CREATE TABLE `sign_in_links` (
	`token_hash` text PRIMARY KEY NOT NULL,
	`organization_id` text NOT NULL,
	`user_id` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`used_at` integer,
	FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `sign_in_links_by_expiry` ON `sign_in_links` (`expires_at`);--> statement-breakpoint
CREATE TABLE `snapshots` (
	`id` text NOT NULL,
	`organization_id` text NOT NULL,
	`session_id` text NOT NULL,
	`files` integer NOT NULL,
	`bytes` integer NOT NULL,
	`created_at` integer NOT NULL,
	`parent` text,
	`version` integer NOT NULL,
	PRIMARY KEY(`organization_id`, `id`)
);
--> statement-breakpoint
CREATE INDEX `snapshots_by_session` ON `snapshots` (`organization_id`,`session_id`,`created_at`);--> statement-breakpoint
CREATE TABLE `used_assertions` (
	`organization_id` text NOT NULL,
	`host_id` text NOT NULL,
	`jti` text NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`host_id`, `jti`)
);
--> statement-breakpoint
CREATE INDEX `used_assertions_by_expiry` ON `used_assertions` (`expires_at`);--> statement-breakpoint
CREATE TABLE `users` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`email` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `users_email_unique` ON `users` (`email`);