data "aws_vpc" "default" {
  count = var.subnet_id == null ? 1 : 0

  default = true
}

data "aws_subnets" "default" {
  count = var.subnet_id == null ? 1 : 0

  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default[0].id]
  }

  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

data "aws_subnet" "given" {
  count = var.subnet_id == null ? 0 : 1

  id = var.subnet_id
}

locals {
  vpc_id  = var.subnet_id == null ? data.aws_vpc.default[0].id : data.aws_subnet.given[0].vpc_id
  subnets = var.subnet_id == null ? sort(data.aws_subnets.default[0].ids) : [var.subnet_id]
}

# No way in: people come through Systems Manager, whose agent calls out.
resource "aws_security_group" "machine" {
  name        = "${var.name}-machine"
  description = "No way in; out to HTTPS, and to HTTP for the signed packages of Ubuntu"
  vpc_id      = local.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "machine" {
  for_each = { https = 443, http = 80 }

  security_group_id = aws_security_group.machine.id
  description       = "Out to ${each.key}"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  cidr_ipv4         = "0.0.0.0/0"
}
