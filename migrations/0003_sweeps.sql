CREATE TABLE `sweeps` (
	`organization_id` text NOT NULL,
	`name` text NOT NULL,
	`cursor` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`organization_id`, `name`),
	FOREIGN KEY (`organization_id`) REFERENCES `organizations`(`id`) ON UPDATE no action ON DELETE no action
);
