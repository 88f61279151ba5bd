output "bucket" {
  description = "The bucket and the root in it"
  value       = local.root
}

output "upload_a_snapshot" {
  description = "How the first snapshot comes into the bucket; docs/data.md says what one is"
  value       = "aws s3 cp reviews.jsonl.gz ${local.root}/snapshots/2018-10-01/"
}

output "shell" {
  description = "A shell on the machine"
  value       = "aws ssm start-session --region ${var.region} --target ${aws_instance.machine.id}"
}

output "airflow" {
  description = "Airflow's UI at http://localhost:8080, while this command runs"
  value       = "aws ssm start-session --region ${var.region} --target ${aws_instance.machine.id} --document-name AWS-StartPortForwardingSession --parameters portNumber=8080,localPortNumber=8080"
}

output "api" {
  description = "The online API at http://localhost:8090, while this command runs"
  value       = "aws ssm start-session --region ${var.region} --target ${aws_instance.machine.id} --document-name AWS-StartPortForwardingSession --parameters portNumber=8090,localPortNumber=8090"
}

output "password" {
  description = "Airflow's password of the user admin"
  value       = "aws ssm get-parameter --region ${var.region} --with-decryption --query Parameter.Value --output text --name /${var.name}/secrets/AIRFLOW_ADMIN_PASSWORD"
}

output "boot_log" {
  description = "What the machine did at its start"
  value       = "aws logs tail --region ${var.region} /${var.name}/machine --log-stream-name-prefix boot"
}

output "apply_settings" {
  description = "After a change of settings or release_*, in a shell on the machine"
  value       = "sudo systemctl restart recommender"
}

output "image_repository" {
  description = "Where the image of training jobs is pushed to"
  value       = aws_ecr_repository.airflow.repository_url
}

output "recommender_aws_batch" {
  description = "RECOMMENDER_AWS_BATCH of the machine; null: heavy tasks run on the machine itself"
  value       = var.training_enabled ? var.name : null
}

output "policies" {
  description = "Policies to give to people: reader looks, operator promotes and rolls back, retire deletes old versions"
  value       = { for key in ["reader", "operator", "retire", "api"] : key => aws_iam_policy.of[key].arn }
}

output "topic" {
  description = "The topic of notices"
  value       = aws_sns_topic.notices.arn
}
